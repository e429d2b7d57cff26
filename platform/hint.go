package platform

import (
	"errors"
	"fmt"
)

// usageError is an error in how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// UsageError makes an error one in how a command was called, for which the exit status is 2.
func UsageError(err error) error { return usageError{err} }

// IsUsageError reports whether an error is, or wraps, one in how a command was called.
func IsUsageError(err error) bool {
	var usage usageError
	return errors.As(err, &usage)
}

// hintedError is an error that knows what the user could do.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Unwrap() error { return e.error }

// WithHint adds to an error what the user could do about it: one line, without a full stop.
func WithHint(err error, format string, args ...any) error {
	return hintedError{err, fmt.Sprintf(format, args...)}
}

// HintOf returns the hint of an error, the outermost if there are several, or "".
func HintOf(err error) string {
	var hinted hintedError
	if errors.As(err, &hinted) {
		return hinted.hint
	}
	return ""
}

// NoFunction is the error for a function that the machine doesn't have. It wraps ErrNoFunction.
func NoFunction(name string) error {
	return WithHint(fmt.Errorf("%w: %s", ErrNoFunction, name), "\"fnctl list\" shows the functions of this machine")
}
