package platform

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/fnctl/fnctl/platform/keys"
)

// labels is the kind of labels, which tell functions apart.
var labels = keys.Dictionary{
	CheckName: checkLabelName, CheckValue: checkLabelValue, Names: keys.Schema{"pattern": labelPattern.String()},
	What: "a mapping of labels to texts",
}

var labelPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$`)

func checkLabelName(name string) error {
	if !labelPattern.MatchString(name) {
		return errors.New("the name of a label has 1 to 63 letters, digits, dots, slashes, hyphens and underscores, the first and the last a letter or digit")
	}
	return nil
}

func checkLabelValue(value string) error {
	const limit = 253
	if len(value) > limit {
		return fmt.Errorf("a label has at most %d characters, got %d", limit, len(value))
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return errors.New("a label must not contain control characters")
	}
	return nil
}
