package deploy

import (
	"fmt"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

// Tokens are those of a function whose lock is held.
type Tokens struct{ Function *Function }

// Create makes a token of the function, and returns its text, which is kept nowhere. expires is zero for one that does not.
func (t Tokens) Create(label string, now, expires time.Time) (text string, token auth.Token, err error) {
	tokens, err := t.read()
	if err != nil {
		return "", token, err
	}
	if i := slices.IndexFunc(tokens, func(other auth.Token) bool { return other.Label == label }); i >= 0 {
		if !tokens[i].Expired(now) {
			err = fmt.Errorf("%s has a token %s already", t.Function.Name, label)
			return "", token, platform.WithHint(err, "fnctl token %s revoke %s", t.Function.Name, label)
		}
		tokens = slices.Delete(tokens, i, i+1)
	}
	if text, token, err = auth.NewToken(label, now, expires); err != nil {
		return "", token, platform.UsageError(err)
	}
	return text, token, auth.WriteTokens(t.Function.Store.Paths, t.Function.Name, append(tokens, token))
}

// Revoke takes tokens from the function. One that there is not is an error, and then all stay.
func (t Tokens) Revoke(labels []string) error {
	tokens, err := t.read()
	if err != nil {
		return err
	}
	for _, label := range labels {
		i := slices.IndexFunc(tokens, func(other auth.Token) bool { return other.Label == label })
		if i < 0 {
			return platform.WithHint(fmt.Errorf("%s has no token %s", t.Function.Name, platform.Clip(label)), "fnctl token %s list", t.Function.Name)
		}
		tokens = slices.Delete(tokens, i, i+1)
	}
	return auth.WriteTokens(t.Function.Store.Paths, t.Function.Name, tokens)
}

func (t Tokens) read() ([]auth.Token, error) {
	tokens, err := auth.ReadTokens(t.Function.Store.Paths, t.Function.Name)
	if err != nil {
		return nil, platform.WithHint(err, "if it is damaged, remove the file: then no token is valid any more")
	}
	return tokens, nil
}

// AreAsked reports whether the function asks for tokens.
func (t Tokens) AreAsked() bool {
	route, err := t.Function.Store.Route(t.Function.Name)
	return err != nil || route.Admission != nil && route.Admission.Auth != nil && route.Admission.Auth.Token
}
