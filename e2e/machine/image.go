//go:build e2e

package machine

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Image returns the directory with the root file system of a suite, and makes it first if there is
// none yet, which takes about a minute; progress goes to log.
func Image(ctx context.Context, suite string, log io.Writer) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(Root(), "testdata/machine/build"), suite)
	cmd.Stderr = log
	// Its mmdebstrap has children; all of them end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("make machine image %s: %w", suite, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Root returns the top directory of the repository that this was compiled from.
func Root() string {
	if root := os.Getenv("FNCTL_ROOT"); root != "" { // for a binary that was built elsewhere
		return root
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
