package platform

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// FailedDeploy says why a revision did not come to serve: it was not healthy, or failed more often than those before it
// while it was rolled out. Such a revision is kept for inspection, and serves only if somebody says so.
type FailedDeploy struct {
	Time time.Time `json:"time"`
	// Reason is one line that goes on after "failed: ".
	Reason string `json:"reason"`
}

// FailedDeploy is the file that says why a revision did not come to serve.
func (p Paths) FailedDeploy(id RevisionID) string {
	return filepath.Join(p.Revision(id), "failed.json")
}

// FailedDeploy tells why a revision did not come to serve. failed is false if nothing is known against it; what cannot be
// read has failed for a reason that is not known.
func (s Store) FailedDeploy(id RevisionID) (failure FailedDeploy, failed bool) {
	err := readJSON(s.Paths.FailedDeploy(id), &failure)
	failure.Reason = oneLine(failure.Reason)
	return failure, !errors.Is(err, fs.ErrNotExist)
}

// PutFailedDeploy takes down why a revision did not come to serve.
func (s Store) PutFailedDeploy(id RevisionID, failure FailedDeploy) error {
	failure.Reason = oneLine(failure.Reason)
	return writeJSON(s.Paths.FailedDeploy(id), failure, 0o644)
}

// RemoveFailedDeploy forgets that a revision did not come to serve, because it does.
func (s Store) RemoveFailedDeploy(id RevisionID) error {
	return removeFile(s.Paths.FailedDeploy(id))
}
