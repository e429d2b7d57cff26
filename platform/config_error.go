package platform

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ConfigError is one thing that is wrong in a file that a user wrote, and where.
type ConfigError struct {
	File string
	// Line and Column count from 1; Column counts characters, and is 0 where only the line is known.
	Line, Column int
	// Key is the path of the key, such as autoscale.min, or "" where the file itself is wrong.
	Key string
	// Problem says what is wrong and what is allowed.
	Problem string
}

// Error is one line: jcloud.yml:5:3: autoscale.min: must be an integer of at least 0, got "x".
func (e *ConfigError) Error() string {
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

// maxProblems bounds what a hostile file can make fnctl print.
const maxProblems = 100

// problems collects what is wrong in one file.
type problems struct {
	file string
	list []*ConfigError
}

func (p *problems) add(line, column int, key, format string, args ...any) {
	if len(p.list) > maxProblems {
		return
	}
	problem := fmt.Sprintf(format, args...)
	if len(p.list) == maxProblems {
		key, problem = "", fmt.Sprintf("more than %d errors, the rest is not shown", maxProblems)
	}
	p.list = append(p.list, &ConfigError{File: p.file, Line: line, Column: column, Key: key, Problem: problem})
}

func (p *problems) any() bool { return len(p.list) > 0 }

// err joins all problems in the order of the file; it is nil if there are none.
func (p *problems) err() error {
	slices.SortStableFunc(p.list, func(a, b *ConfigError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(p.list))
	for i, problem := range p.list {
		errs[i] = problem
	}
	return errors.Join(errs...)
}
