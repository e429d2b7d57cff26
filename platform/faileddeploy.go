package platform

import (
	"errors"
	"io/fs"
	"time"
)

// FailedDeploy is why a revision did not come to serve: it was not healthy, or failed more often than those before it while
// it was rolled out. Such a revision is kept for inspection, and serves only on request.
type FailedDeploy struct {
	Time time.Time `json:"time"`
	// Explanation is one line that goes on after "failed: ".
	Explanation string `json:"reason"`
}

// FailedDeploy reads why a revision did not come to serve. failed reports whether it failed; if its file cannot be read, it
// has, with an empty failure.
func (s Store) FailedDeploy(id RevisionID) (failure FailedDeploy, failed bool) {
	err := readJSON(s.Paths.FailedDeploy(id), &failure)
	failure.Explanation = oneLine(failure.Explanation)
	return failure, !errors.Is(err, fs.ErrNotExist)
}

// PutFailedDeploy writes why a revision did not come to serve.
func (s Store) PutFailedDeploy(id RevisionID, failure FailedDeploy) error {
	failure.Explanation = oneLine(failure.Explanation)
	return writeJSON(s.Paths.FailedDeploy(id), failure, 0o644)
}

// RemoveFailedDeploy removes the mark of a failed deploy from a revision that serves after all.
func (s Store) RemoveFailedDeploy(id RevisionID) error {
	return removeFile(s.Paths.FailedDeploy(id))
}
