package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// moveTree moves a directory to a place where there is nothing, also to another file system. Then it is copied with all that cp(1) can keep,
// and appears there as a whole; what an earlier copy has left is replaced.
func moveTree(ctx context.Context, from, to string) error {
	err := os.Rename(from, to)
	if !errors.Is(err, unix.EXDEV) {
		return err
	}
	part := filepath.Join(filepath.Dir(to), "."+filepath.Base(to)+".part")
	if err := platform.RemoveTree(part); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "cp", "--archive", "--reflink=auto", "--", from, part).CombinedOutput()
	if err != nil {
		_ = platform.RemoveTree(part)
		return fmt.Errorf("copy %s to %s: %w: %s", from, filepath.Dir(to), err, platform.LastLines(strings.TrimSpace(string(out)), 3))
	}
	if err = platform.SyncFileSystem(part); err == nil {
		err = os.Rename(part, to)
	}
	if err != nil {
		_ = platform.RemoveTree(part)
		return err
	}
	return platform.RemoveTree(from)
}
