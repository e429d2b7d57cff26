package platform

import (
	"fmt"
	"regexp"
	"strings"
)

// ClientCookie is the cookie that the gateway gives to clients that are to be told apart and have nothing else for it.
const ClientCookie = "fnctl-client"

// Sticky is the header or the cookie by which requests that belong together are known. While traffic is split, those with the same value reach the
// same revision. One of its fields is set.
type Sticky struct {
	Header string `json:"header,omitempty"`
	// Cookie is one that the app sets; with ClientCookie it is the gateway that does.
	Cookie string `json:"cookie,omitempty"`
}

// ParseSticky reads what String writes, and the header or cookie of a name: header:X-User, cookie:session, cookie, or off,
// which is nil.
func ParseSticky(s string) (*Sticky, error) {
	kind, name, named := strings.Cut(s, ":")
	var sticky *Sticky
	switch {
	case s == "off":
		return nil, nil
	case s == "cookie":
		return &Sticky{Cookie: ClientCookie}, nil
	case named && kind == "header":
		sticky = &Sticky{Header: name}
	case named && kind == "cookie":
		sticky = &Sticky{Cookie: name}
	default:
		return nil, fmt.Errorf("%q is not header:NAME, cookie:NAME, cookie or off", Clip(s))
	}
	return sticky, sticky.check()
}

// String returns the text that ParseSticky reads.
func (s *Sticky) String() string {
	switch {
	case s == nil:
		return "off"
	case s.Header != "":
		return "header:" + s.Header
	case s.Cookie == ClientCookie:
		return "cookie"
	}
	return "cookie:" + s.Cookie
}

// tokenPattern is a token of HTTP (RFC 9110, section 5.6.2), which names of headers and cookies are.
var tokenPattern = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")

func (s *Sticky) check() error {
	switch {
	case s == nil:
	case (s.Header == "") == (s.Cookie == ""):
		return fmt.Errorf("sticky: a header or a cookie is needed")
	case !tokenPattern.MatchString(s.Header + s.Cookie):
		return fmt.Errorf("sticky: %q cannot name a header or a cookie", Clip(s.Header+s.Cookie))
	}
	return nil
}
