package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

// copyApp makes the revision's directory, with everything in it. It has a temporary name
// until it is whole.
func (d *deployment) copyApp(ctx context.Context) (string, error) {
	id := d.revision.ID
	final := d.Store.Paths.Revision(id)
	if err := d.Store.MakeFunction(id.Function); err != nil {
		return "", err
	}
	temporary := d.temporary()
	if err := platform.RemoveTree(temporary); err != nil {
		return "", err
	}
	if err := platform.MakeDir(temporary, 0o755); err != nil {
		return "", fmt.Errorf("make the revision's directory: %w", err)
	}
	copied, err := d.snapshot(ctx, filepath.Join(temporary, "app"))
	if err != nil {
		return "", err
	}
	d.revision.Size = copied.Bytes
	// Only PID 1 reads the snapshot: one function may not read another's.
	if err := os.Chmod(filepath.Join(temporary, "app"), 0o700); err != nil {
		return "", err
	}
	if err := platform.SyncDir(filepath.Join(temporary, "app")); err != nil {
		return "", err
	}
	if err := d.writeEnv(temporary); err != nil {
		return "", err
	}
	if err := d.request.writeUsers(temporary); err != nil {
		return "", err
	}
	if err := d.secrets.write(ctx, d.Store.Paths, temporary); err != nil {
		return "", fmt.Errorf("write the secrets: %w", err)
	}
	if err := d.Store.PutRevision(temporary, d.revision); err != nil {
		return "", err
	}
	if err := os.Rename(temporary, final); err != nil {
		return "", err
	}
	if err := platform.SyncDir(filepath.Dir(final)); err != nil {
		return "", err
	}
	return copiedText(copied), nil
}

// snapshot takes the app from its directory, or shares the files of an earlier revision.
func (d *deployment) snapshot(ctx context.Context, to string) (snapshot.Result, error) {
	if d.request.from.Number > 0 {
		return snapshot.Share(ctx, d.Store.Paths.Snapshot(d.request.from), to)
	}
	copied, err := snapshot.Take(ctx, d.request.Dir, to, snapshot.Options{
		Without: d.request.withoutUsers(), Before: d.lastSnapshot(), Report: d.Progress.Copying(),
	})
	if err != nil {
		return copied, explainSnapshot(err)
	}
	d.leftOut = copied.LeftOut
	return copied, d.checkLeftOut()
}

func (d *deployment) temporary() string {
	return filepath.Join(d.Store.Paths.Revisions(d.revision.ID.Function), fmt.Sprintf(".%05d", d.revision.ID.Number))
}

// lastSnapshot is the snapshot of the newest revision that there is, or "".
func (d *deployment) lastSnapshot() string {
	revisions, err := d.Store.Revisions(d.Name)
	if err != nil || len(revisions) == 0 {
		return "" // then nothing is shared
	}
	return d.Store.Paths.Snapshot(revisions[len(revisions)-1])
}

func explainSnapshot(err error) error {
	var changed *snapshot.ChangedError
	switch {
	case errors.As(err, &changed):
		return platform.WithHint(err, "deploy again when nothing writes there; what the app doesn't need can be named in .fnctlignore")
	case errors.Is(err, snapshot.ErrUnsupported):
		return platform.WithHint(err, "what the app doesn't need can be named in .fnctlignore")
	}
	return err
}

// copiedText says what was copied, and what was not.
func copiedText(copied snapshot.Result) string {
	text := fmt.Sprintf("copied the app: %s, %s", platform.Plural(copied.Files, "file"), platform.ByteSize(copied.Bytes))
	if copied.Shared > 0 {
		text += fmt.Sprintf(", %d unchanged", copied.Shared)
	}
	return text + ignoredText(copied.LeftOut)
}
