package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// Failure says why the instances of a revision cannot start. The activator writes one for as long as it is so; the gateway
// refuses requests with it instead of holding them, and fnctl status shows it.
type Failure struct {
	Revision RevisionID `json:"revision"`
	// Since is when the first of the starts in a row came to nothing.
	Since time.Time `json:"since"`
	// Reason is one line that goes on after "cannot start: ". There is nothing secret in it.
	Reason string `json:"reason"`
}

// maxReason bounds a reason, in bytes.
const maxReason = 300

// Failures is the directory of failures.
func (p Paths) Failures() string { return p.join("run/fnctl/failures") }

// Failure is the file of a revision's failure.
func (p Paths) Failure(id RevisionID) string {
	return filepath.Join(p.Failures(), id.String()+".json")
}

// ParseFailureFile reads the name of a failure's file, such as ping-00001.json.
func ParseFailureFile(file string) (RevisionID, bool) {
	name, found := strings.CutSuffix(file, ".json")
	if !found {
		return RevisionID{}, false
	}
	id, err := ParseRevisionID(name)
	return id, err == nil
}

// ListFailures lists the revisions whose instances cannot start.
func (p Paths) ListFailures() ([]RevisionID, error) {
	entries, err := os.ReadDir(p.Failures())
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

// Failure reads why a revision's instances cannot start. The error wraps fs.ErrNotExist if nothing speaks against them.
func (s Store) Failure(id RevisionID) (Failure, error) {
	var failure Failure
	err := readJSON(s.Paths.Failure(id), &failure)
	if err == nil && failure.Revision != id {
		err = fmt.Errorf("%s is about another revision, %s", s.Paths.Failure(id), failure.Revision)
	}
	failure.Reason = oneLine(failure.Reason)
	return failure, err
}

// PutFailure replaces what is said of a revision's failure.
func (s Store) PutFailure(failure Failure) error {
	failure.Reason = oneLine(failure.Reason)
	err := writeJSON(s.Paths.Failure(failure.Revision), failure, 0o644)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(s.Paths.Failures(), 0o755); err != nil {
		return fmt.Errorf("make the directory of failures: %w", err)
	}
	return writeJSON(s.Paths.Failure(failure.Revision), failure, 0o644)
}

// RemoveFailure takes back what was said of a revision's failure.
func (s Store) RemoveFailure(id RevisionID) error {
	if err := os.Remove(s.Paths.Failure(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the failure of %s: %w", id, err)
	}
	return nil
}

// oneLine makes a reason fit for a line of a response, of a log and of a terminal.
func oneLine(reason string) string {
	reason = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reason, " "))
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "") + "…"
	}
	return reason
}
