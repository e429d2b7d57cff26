package platform

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

var identifierPath = regexp.MustCompile(`^[\p{L}\p{Nl}_][\p{L}\p{N}\p{M}\p{Pc}]*(\.[\p{L}\p{Nl}_][\p{L}\p{N}\p{M}\p{Pc}]*)*$`)

// ParseApp splits the name of a Python application, module[.sub]:attr[.attr], where each part is a Python identifier. Brackets
// after it, which make it a factory, are no part of attr.
func ParseApp(s string) (module, attr string, ok bool) {
	module, attr, ok = strings.Cut(strings.TrimSuffix(s, factoryBrackets), ":")
	if !ok || !identifierPath.MatchString(module) || !identifierPath.MatchString(attr) {
		return "", "", false
	}
	return module, attr, true
}

const factoryBrackets = "()"

// IsFactory reports whether the name of a Python application is that of a function which makes it, as in main:create_app().
func IsFactory(app string) bool { return strings.HasSuffix(app, factoryBrackets) }

// appNames is the kind of Python applications.
var appNames = keys.Text[string]{Parse: keys.Checked(checkApp), Pattern: `^[^\s:]+:[^\s:]+$`, What: "an app such as main:app"}

func checkApp(s string) error {
	if _, _, ok := ParseApp(s); !ok {
		return fmt.Errorf("must be module:attr, such as main:app, got %s", keys.Quote(s))
	}
	return nil
}
