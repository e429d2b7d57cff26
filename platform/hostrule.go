package platform

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// AnyHost is the host of a rule for the requests whose host nobody has.
const AnyHost = "*"

// HostRule is an entry of hosts in jcloud.yml: which requests a function gets besides those for its own address.
type HostRule struct {
	// Host is a host name; *.NAME, which is every name that has one label before NAME and that no rule has by itself; or AnyHost.
	Host string
	// Path is the path at or below which the requests are, such as /api, "" for all.
	Path string
}

// rulePath is a path of a rule. What may be written in several ways is not allowed: it would match one of them only.
var rulePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

// maxRulePath is how many characters a path may have.
const maxRulePath = 200

// hostRules are the kind of hosts in jcloud.yml.
var hostRules = keys.List[string]{Of: keys.Text[string]{
	Parse: keys.Checked(CheckHostRule), Pattern: `^(\*|(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(/[A-Za-z0-9._~/-]+)?$`, What: "a host name",
}}

// ParseHostRule reads a rule as jcloud.yml and routes have it.
func ParseHostRule(s string) (HostRule, error) {
	host, path, has := strings.Cut(s, "/")
	r := HostRule{Host: host}
	if has {
		r.Path = "/" + path
	}
	name := strings.TrimPrefix(host, "*.")
	if host != AnyHost && CheckHost(name) != nil {
		return r, fmt.Errorf("invalid host %q: use a DNS name such as app.example.com, *.example.com or *, in lower case and without a port, and behind it a path if need be", Clip(s))
	}
	if has && (len(r.Path) > maxRulePath || !rulePath.MatchString(r.Path) || hasDots(r.Path)) {
		return r, fmt.Errorf("invalid path %q of the host %s: use one such as /api, without a slash at its end, of letters, digits and .-_~", Clip(r.Path), host)
	}
	return r, nil
}

// hasDots reports whether a path has an element that means another one.
func hasDots(path string) bool {
	for element := range strings.SplitSeq(path, "/") {
		if element == "." || element == ".." {
			return true
		}
	}
	return false
}

// CheckHostRule returns why a string is no rule, nil if it is one.
func CheckHostRule(s string) error {
	_, err := ParseHostRule(s)
	return err
}

// Below is the name of which the rule has everything one label below; has reports whether it is such a rule.
func (r HostRule) Below() (name string, has bool) { return strings.CutPrefix(r.Host, "*.") }

// Names reports whether the rule has one host, whose name it says, with every path.
func (r HostRule) Names() bool { return r.Path == "" && !strings.HasPrefix(r.Host, "*") }

// String is the rule as it is written.
func (r HostRule) String() string { return r.Host + r.Path }
