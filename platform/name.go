package platform

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
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

// CheckName says whether a string can name a function: a DNS label of at most MaxNameLength characters that starts with
// a letter and doesn't look like the name of a revision.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty", ErrName)
	case len(name) > MaxNameLength:
		return fmt.Errorf("%w %q: it has %d characters, at most %d are allowed", ErrName, clip(name), len(name), MaxNameLength)
	case !namePattern.MatchString(name):
		return fmt.Errorf("%w %q: use lower-case letters, digits and hyphens, starting with a letter", ErrName, clip(name))
	case revisionPattern.MatchString(name):
		return fmt.Errorf("%w %q: it ends like the name of a revision (%s-00001)", ErrName, name, "NAME")
	case strings.Contains(name, "--"):
		return fmt.Errorf("%w %q: two hyphens in a row", ErrName, name)
	}
	return nil
}

// CheckHost says whether a string can be a host name of a function: a lower-case DNS name without port, 253 characters
// at most.
func CheckHost(host string) error {
	if host == "" || len(host) > 253 {
		return fmt.Errorf("invalid host %q: a DNS name has 1 to 253 characters", clip(host))
	}
	for label := range strings.SplitSeq(host, ".") {
		if len(label) > 63 || !hostLabel.MatchString(label) {
			return fmt.Errorf("invalid host %q: use a DNS name such as app.example.com, in lower case and without a port", clip(host))
		}
	}
	return nil
}

// clip bounds hostile input in an error message.
func clip(s string) string {
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

// Clip bounds hostile input in an error message.
func Clip(s string) string { return clip(s) }
