package admission_test

import (
	"path"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

// Nobody comes in but with what is written below, however the field is made.
func FuzzAuthorization(f *testing.F) {
	p, token := policy(f, "auth: {basic: {users: u}, token: true}")
	for _, seed := range []string{"", "Basic", "Basic ", "Basic YWxpY2U6eA==", "Bearer ", "Bearer fnctl_x", "bearer\tx", "Basic Og==", "Basic YTo=,Bearer x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.Contains(value, token) || strings.Contains(strings.ToLower(value), "basic ywxp") || strings.Contains(strings.ToLower(value), "basic ym9i") {
			return
		}
		r := ask("/")
		r.Fields = []wire.Field{{Name: []byte("Authorization"), Value: []byte(value)}}
		if e, d := p.Decide(r, start); d == nil {
			t.Errorf("%q comes in as %q", value, e.User)
		}
	})
}

// A path that is open is what it says, however it is cleaned.
func FuzzOpenPath(f *testing.F) {
	p, _ := policy(f, "auth: {token: true, open: [/hooks/*]}")
	for _, seed := range []string{"/hooks/a", "/hooks/../a", "/hooks//", "/hooks/%2e%2e/", "/hooks/..;/", "/hooks/.\\"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		r := ask("/")
		r.Path = asked
		if _, d := p.Decide(r, start); d != nil {
			return
		}
		if cleaned := path.Clean(asked); cleaned != strings.TrimSuffix(asked, "/") || !strings.HasPrefix(cleaned, "/hooks/") || strings.ContainsAny(asked, `%;\`) {
			t.Errorf("%q is open", asked)
		}
	})
}
