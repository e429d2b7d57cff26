package platform

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// MaxNameLength is the longest name of a function: all its instances run as the system user fn-NAME, and Linux allows
// 31 characters for a user.
const MaxNameLength = 31 - len("fn-")

// ErrName is wrapped by every error of CheckName.
var ErrName = errors.New("invalid function name")

var (
	namePattern     = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	revisionPattern = regexp.MustCompile(`^(.+)-([0-9]{5,})$`)
	hostLabel       = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

// functionNames is the kind of names in jcloud.yml.
var functionNames = keys.Text[string]{Parse: keys.Checked(CheckName), Pattern: namePattern.String(), What: "a name such as shop"}

// CheckName returns why a string cannot name a function, nil if it can: a DNS label of at most MaxNameLength characters that
// starts with a letter and doesn't look like the name of a revision.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(name) > MaxNameLength:
		return fmt.Errorf("%w %q: it has %d characters, at most %d are allowed", ErrName, Clip(name), len(name), MaxNameLength)
	case !namePattern.MatchString(name):
		return fmt.Errorf("%w %q: use lower-case letters, digits and hyphens, starting with a letter", ErrName, Clip(name))
	case revisionPattern.MatchString(name):
		return fmt.Errorf("%w %q: it ends like the name of a revision (%s-00001)", ErrName, name, "NAME")
	case strings.Contains(name, "--"):
		return fmt.Errorf("%w %q: two hyphens in a row", ErrName, name)
	}
	return nil
}

// CheckHost returns why a string cannot be a host name of a function, nil if it can: a lower-case DNS name without port, 253
// characters at most.
func CheckHost(host string) error {
	if host == "" || len(host) > 253 {
		return fmt.Errorf("invalid host %q: a DNS name has 1 to 253 characters", Clip(host))
	}
	for label := range strings.SplitSeq(host, ".") {
		if len(label) > 63 || !hostLabel.MatchString(label) {
			return fmt.Errorf("invalid host %q: use a DNS name such as app.example.com, in lower case and without a port", Clip(host))
		}
	}
	return nil
}

// MaxTagLength is the longest tag.
const MaxTagLength = 30

// ErrTag is wrapped by every error of CheckTag.
var ErrTag = errors.New("invalid tag")

// CheckTag returns why a string cannot be a tag, nil if it can: a DNS label of at most MaxTagLength characters that starts
// with a letter, so that it is never the number of a revision.
func CheckTag(tag string) error {
	switch {
	case tag == "" || len(tag) > MaxTagLength:
		return fmt.Errorf("%w %q: it has 1 to %d characters", ErrTag, Clip(tag), MaxTagLength)
	case !namePattern.MatchString(tag):
		return fmt.Errorf("%w %q: use lower-case letters, digits and hyphens, starting with a letter", ErrTag, tag)
	}
	return nil
}

// Clip bounds hostile input in an error message.
func Clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}

// SliceName is the name of a function's slice unit, which all its instances are in. Hyphens nest slices, so those of the name are escaped.
func SliceName(function string) string {
	return "fn-" + strings.ReplaceAll(function, "-", `\x2d`) + ".slice"
}
