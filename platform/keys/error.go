package keys

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one thing that is wrong in a file that a user wrote, and where.
type Error struct {
	File string
	// Line and Column count from 1; Column counts characters, and is 0 where only the line is known.
	Line, Column int
	// Key is the path of the key, such as autoscale.min, or "" where the file itself is wrong.
	Key string
	// Problem has what is wrong, and what is allowed instead.
	Problem string
}

// Error is one line: jcloud.yml:5:3: autoscale.min: must be an integer of at least 0, got "x".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:", e.File, e.Line)
	if e.Column > 0 {
		fmt.Fprintf(&b, "%d:", e.Column)
	}
	if e.Key != "" {
		fmt.Fprintf(&b, " %s:", e.Key)
	}
	return b.String() + " " + e.Problem
}

// maxErrors bounds what a hostile file can make fnctl print.
const maxErrors = 100

// Errors collects what is wrong in one file.
type Errors struct {
	// File is the name of the file in messages.
	File string
	list []*Error
}

// Add reports a problem. A column of 0 means that only the line is known, a key of "" that the file itself is wrong.
func (e *Errors) Add(line, column int, key, format string, args ...any) {
	if len(e.list) > maxErrors {
		return
	}
	problem := fmt.Sprintf(format, args...)
	if len(e.list) == maxErrors {
		key, problem = "", fmt.Sprintf("more than %d errors, the rest is not shown", maxErrors)
	}
	e.list = append(e.list, &Error{File: e.File, Line: line, Column: column, Key: key, Problem: problem})
}

func (e *Errors) any() bool { return len(e.list) > 0 }

// Err joins all errors, each an *Error, in the order of the file; it is nil if there are none.
func (e *Errors) Err() error {
	slices.SortStableFunc(e.list, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(e.list))
	for i, err := range e.list {
		errs[i] = err
	}
	return errors.Join(errs...)
}
