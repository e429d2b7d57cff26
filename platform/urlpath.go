package platform

import (
	"fmt"
	"regexp"

	"github.com/fnctl/fnctl/platform/keys"
)

// urlPathPattern is the path of a URL, without a query.
var urlPathPattern = regexp.MustCompile(`^/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}){0,255}$`)

// urlPath is the kind of paths of URLs, with an example for messages.
func urlPath(example string) keys.Text[string] {
	check := func(path string) error {
		if !urlPathPattern.MatchString(path) {
			return fmt.Errorf("must be the path of a URL such as %s, got %s", example, keys.Quote(path))
		}
		return nil
	}
	return keys.Text[string]{Parse: keys.Checked(check), Pattern: urlPathPattern.String(), What: "a path such as " + example}
}
