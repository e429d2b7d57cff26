package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"
)

// Failure is why the instances of a revision cannot start. The activator keeps one for as long as they cannot; the gateway
// refuses requests with it instead of holding them, and fnctl status shows it.
type Failure struct {
	Revision RevisionID `json:"revision"`
	// Since is when the first of the starts in a row came to nothing.
	Since time.Time `json:"since"`
	// Explanation is one line that goes on after "cannot start: ". There is nothing secret in it.
	Explanation string `json:"reason"`
	// Late is true if the last of the starts took too long, rather than end by itself.
	Late bool `json:"late,omitempty"`
}

// maxExplanation bounds an explanation, in bytes.
const maxExplanation = 300

// ParseFailureFile reads the name of a failure's file, such as ping-00001.json.
func ParseFailureFile(file string) (RevisionID, bool) {
	name, found := strings.CutSuffix(file, ".json")
	if !found {
		return RevisionID{}, false
	}
	id, err := ParseRevisionID(name)
	return id, err == nil
}

// Failures lists the revisions whose instances cannot start.
func (s Store) Failures() ([]RevisionID, error) {
	entries, err := os.ReadDir(s.Paths.Failures())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []RevisionID
	for _, entry := range entries {
		if id, ok := ParseFailureFile(entry.Name()); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// Failure reads why a revision's instances cannot start. The error wraps fs.ErrNotExist if none is known.
func (s Store) Failure(id RevisionID) (Failure, error) {
	var failure Failure
	err := readJSON(s.Paths.Failure(id), &failure)
	if err == nil && failure.Revision != id {
		err = fmt.Errorf("%s is about another revision, %s", s.Paths.Failure(id), failure.Revision)
	}
	failure.Explanation = oneLine(failure.Explanation)
	return failure, err
}

// PutFailure replaces the failure of a revision.
func (s Store) PutFailure(failure Failure) error {
	failure.Explanation = oneLine(failure.Explanation)
	err := writeJSON(s.Paths.Failure(failure.Revision), failure, 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := MakeDir(s.Paths.Failures(), 0o755); err != nil {
		return fmt.Errorf("make the directory of failures: %w", err)
	}
	return writeJSON(s.Paths.Failure(failure.Revision), failure, 0o644)
}

// RemoveFailure removes the failure of a revision. It is no error if there is none.
func (s Store) RemoveFailure(id RevisionID) error {
	if err := os.Remove(s.Paths.Failure(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the failure of %s: %w", id, err)
	}
	return nil
}

// oneLine makes an explanation fit for a line of a response, of a log and of a terminal.
func oneLine(explanation string) string {
	explanation = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(explanation, " "))
	if len(explanation) > maxExplanation {
		explanation = strings.ToValidUTF8(explanation[:maxExplanation], "") + "…"
	}
	return explanation
}
