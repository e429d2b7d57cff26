package admission_test

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/admission"
	"github.com/fnctl/fnctl/gateway/wire"
)

// lines are fields as they are sent, sorted by nobody.
func lines(fields []wire.Field) string {
	var all []string
	for _, f := range fields {
		all = append(all, string(f.Name)+": "+string(f.Value))
	}
	return strings.Join(all, "\n")
}

func TestPreflight(t *testing.T) {
	some, _ := policy(t, "cors: {origins: [https://app.example.com], credentials: true, methods: [GET, PUT]}\nauth: {token: true}")
	anyone, _ := policy(t, "cors: {origins: '*', headers: [X-One, X-Two], max_age: 1h}")
	const method = "Access-Control-Request-Method: PUT"
	for _, c := range []struct {
		what string
		p    *admission.Policy
		r    *admission.Request
		code int
		want string
	}{
		{"a site", some, ask("OPTIONS /x", "Origin: https://app.example.com", method, "Access-Control-Request-Headers: x-a, authorization"), 204, "Vary: Origin\n" +
			"Access-Control-Allow-Origin: https://app.example.com\nAccess-Control-Allow-Credentials: true\nAccess-Control-Allow-Methods: GET, PUT\n" +
			"Access-Control-Max-Age: 600\nVary: Access-Control-Request-Headers\nAccess-Control-Allow-Headers: x-a, authorization"},
		{"another", some, ask("OPTIONS /x", "Origin: https://app.example.com.evil.example", method), 403, ""},
		{"no site", some, ask("OPTIONS /x", "Origin: null", method), 403, ""},
		{"any", anyone, ask("OPTIONS /x", "Origin: null", method, "Access-Control-Request-Headers: x-three"), 204, "Access-Control-Allow-Origin: *\n" +
			"Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\nAccess-Control-Max-Age: 3600\nAccess-Control-Allow-Headers: X-One, X-Two"},
		{"no preflight", some, ask("OPTIONS /x", "Origin: https://app.example.com"), 401, `WWW-Authenticate: Bearer realm="ping"`},
	} {
		_, d := c.p.Decide(c.r, start)
		if status(d) != c.code || lines(d.Fields) != c.want {
			t.Errorf("%s: got %+v with\n%s\nwant\n%s", c.what, d, lines(d.Fields), c.want)
		}
	}
}

func TestCORSOfResponses(t *testing.T) {
	some, _ := policy(t, "cors: {origins: [https://app.example.com], credentials: true}")
	anyone, _ := policy(t, "cors: {origins: '*'}")
	const ours = "Vary: Origin\nAccess-Control-Allow-Origin: https://app.example.com\nAccess-Control-Allow-Credentials: true"
	for _, c := range []struct {
		what string
		p    *admission.Policy
		r    *admission.Request
		app  []wire.Field
		want string
	}{
		{"a site", some, ask("/", "Origin: https://app.example.com"), nil, ours},
		{"another", some, ask("/", "Origin: https://evil.example"), nil, "Vary: Origin"},
		{"none", some, ask("/"), nil, "Vary: Origin"},
		{"two", some, ask("/", "Origin: https://app.example.com", "Origin: https://app.example.com"), nil, "Vary: Origin"},
		{"an app that says it", some, ask("/", "Origin: https://app.example.com"), []wire.Field{{Name: []byte("access-control-allow-origin"), Value: []byte("*")}}, ""},
		{"any", anyone, ask("/"), nil, "Access-Control-Allow-Origin: *"},
	} {
		e, d := c.p.Decide(c.r, start)
		if got := lines(e.AppendFields(nil, c.app)); d != nil || got != c.want {
			t.Errorf("%s: %+v, got\n%s\nwant\n%s", c.what, d, got, c.want)
		}
	}
}
