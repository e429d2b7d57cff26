package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fnctl/fnctl/cli"
)

// TestMain lets the test binary be fnctl, too: the scripts run it.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", "atexit_sleep_ms=10 "+os.Getenv("GORACE")) // instead of a second for each command
	testscript.Main(m, map[string]func(){"fnctl": runFnctl})
}

// runFnctl is fnctl, with the root and the user that the script asks for.
func runFnctl() {
	if root := os.Getenv("FNCTL_ROOT"); root != "" {
		cli.UseRoot(root)
	}
	if os.Getenv("FNCTL_NOBODY") != "" && os.Geteuid() == 0 {
		const nobody = 65534
		if err := syscall.Setuid(nobody); err != nil {
			panic(err)
		}
	}
	os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr))
}

// The scripts are transcripts of a shell. Each has its own machine: an empty directory.
func TestScripts(t *testing.T) {
	traces, err := filepath.Abs("../testdata/traces")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *cli.Update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		WorkdirRoot:         openDir(t),
		Setup: func(env *testscript.Env) error {
			env.Setenv("FNCTL_ROOT", filepath.Join(env.WorkDir, "machine"))
			env.Setenv("TRACES", traces)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return os.Geteuid() == 0, nil
		},
	})
}

// exits runs a command that must end with an exit status: exits 2 fnctl deploy --nonsense.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case err == nil && want != 0:
		ts.Fatalf("it succeeded, want exit status %d", want)
	case errors.As(err, &exit) && exit.ExitCode() != want:
		ts.Fatalf("exit status %d, want %d", exit.ExitCode(), want)
	case exit == nil:
		ts.Check(err)
	}
}

// openDir is a temporary directory that every user can enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fnctl-scripts")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
