package platform

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Admission says who may come in to a function, and what is answered in its place. The zero value lets everybody in. Its keys
// are those of jcloud.yml.
type Admission struct {
	// Auth is nil if nobody needs to say who they are.
	Auth *Auth `json:"auth,omitempty"`
	// Allow are the networks from which requests come in, none: all. Deny are those from which none do, whatever Allow says.
	Allow []netip.Prefix `json:"allow,omitempty"`
	Deny  []netip.Prefix `json:"deny,omitempty"`
	// RateLimit is nil if there is none.
	RateLimit *RateLimit `json:"rate_limit,omitempty"`
	// CORS is nil if that is the app's.
	CORS *CORS `json:"cors,omitempty"`
}

// Auth has the ways to say who one is, of which one is enough.
type Auth struct {
	Basic *BasicAuth `json:"basic,omitempty"`
	// Token is true for the tokens of the function.
	Token bool `json:"token,omitempty"`
	// Open are paths for everybody: /healthz, or with all below /hooks/*.
	Open []string `json:"open,omitempty"`
}

// BasicAuth asks for the name and the password of a user.
type BasicAuth struct {
	// Users is the file in the app's directory that has them. A revision has it in Paths.Users.
	Users string `json:"users"`
}

// RateLimit is how many requests one sender may send.
type RateLimit struct {
	Requests int      `json:"requests"`
	Per      Duration `json:"per"`
	// By is what tells senders apart: address, token, or header:NAME.
	By string `json:"by"`
	// Burst is how many may come at once.
	Burst int `json:"burst"`
}

// What tells senders apart.
const (
	ByAddress = "address"
	ByToken   = "token"
	byHeader  = "header:"
)

// Header is the header that tells senders apart, "" if it is something else.
func (r RateLimit) Header() string {
	name, _ := strings.CutPrefix(r.By, byHeader)
	if name == r.By {
		return ""
	}
	return name
}

// CORS says which sites' scripts may read the answers of a function.
type CORS struct {
	// Origins are those of the sites, such as https://app.example.com, or AnyOrigin alone.
	Origins []string `json:"origins"`
	// Credentials reports whether browsers send cookies and passwords along.
	Credentials bool `json:"credentials,omitempty"`
	// Methods that scripts may use.
	Methods []string `json:"methods"`
	// Headers that they may set; none: whatever they ask for.
	Headers []string `json:"headers,omitempty"`
	// MaxAge is how long a browser may remember that.
	MaxAge Duration `json:"max_age"`
}

// AnyOrigin is every site.
const AnyOrigin = "*"

// isZero reports whether everybody comes in.
func (a Admission) isZero() bool {
	return a.Auth == nil && len(a.Allow) == 0 && len(a.Deny) == 0 && a.RateLimit == nil && a.CORS == nil
}

// UsersFile is the file of users in the app's directory, "" if there is none.
func (a Admission) UsersFile() string {
	if a.Auth == nil || a.Auth.Basic == nil {
		return ""
	}
	return a.Auth.Basic.Users
}

// routed is the admission as a route has it: nil if everybody comes in.
func (a Admission) routed() *Admission {
	if a.isZero() {
		return nil
	}
	return &a
}

// check returns what is wrong with the admission of a route, so that nothing of it is taken for something else.
func (a *Admission) check() error {
	if a == nil {
		return nil
	}
	if a.isZero() {
		return errors.New("admission: it says nothing")
	}
	return errors.Join(a.Auth.check(), a.RateLimit.check(), a.CORS.check(), checkNetworks(a.Allow), checkNetworks(a.Deny))
}

func checkNetworks(networks []netip.Prefix) error {
	if slices.ContainsFunc(networks, func(p netip.Prefix) bool { return !p.IsValid() }) {
		return errors.New("admission: a network is not valid")
	}
	return nil
}

func (a *Auth) check() error {
	switch {
	case a == nil:
		return nil
	case a.Basic == nil && !a.Token:
		return errors.New("auth: neither basic nor token")
	}
	for _, path := range a.Open {
		if err := checkOpenPath(path); err != nil {
			return fmt.Errorf("auth.open: %w", err)
		}
	}
	return nil
}

func (r *RateLimit) check() error {
	switch {
	case r == nil:
		return nil
	case r.Requests < 1 || r.Per <= 0 || r.Burst < 1:
		return errors.New("rate_limit is out of range")
	}
	return checkSender(r.By)
}

func (c *CORS) check() error {
	if c != nil && len(c.Origins) == 0 {
		return errors.New("cors: no origins")
	}
	return nil
}
