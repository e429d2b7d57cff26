package secrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// HostKey is the key that systemd-creds makes and uses. A key in the machine's TPM could be used besides it
// (--with-key=auto), but each cold start would wait for that chip, which takes it some hundred milliseconds for every
// single credential (systemd issue 37189: 24 of them exceed the 90 seconds that a start may take).
const HostKey = "/var/lib/systemd/credential.secret"

// credsTimeout bounds one run of systemd-creds, which takes some milliseconds.
const credsTimeout = 30 * time.Second

// encrypt encrypts for this machine. The result is bound to the name.
func encrypt(ctx context.Context, name string, value []byte) ([]byte, error) {
	return runCreds(ctx, value, "encrypt", "--with-key=host", "--name="+name, "-", "-")
}

func decrypt(ctx context.Context, name, path string) ([]byte, error) {
	return runCreds(ctx, nil, "decrypt", "--name="+name, path, "-")
}

// runCreds runs systemd-creds. No value is among its arguments, and what it prints in an error has none.
func runCreds(ctx context.Context, input []byte, args ...string) ([]byte, error) {
	program, err := exec.LookPath("systemd-creds")
	if err != nil {
		return nil, errors.New("systemd-creds is missing")
	}
	ctx, cancel := context.WithTimeout(ctx, credsTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")} // nothing of the caller's may choose another key
	cmd.Stdin = bytes.NewReader(input)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("systemd-creds %s: %s", args[0], platform.LastLines(strings.TrimSpace(problems.String()+"\n"+err.Error()), 2))
	}
	return out.Bytes(), nil
}

// CanEncrypt says why this machine cannot encrypt secrets, by trying it.
func CanEncrypt(ctx context.Context) error {
	if _, err := encrypt(ctx, "fnctl", []byte("fnctl")); err != nil {
		return err
	}
	// It may just have made the key. A power loss must not leave files that nothing can decrypt.
	if err := platform.SyncDir(HostKey); err != nil {
		return err
	}
	return platform.SyncDir("/var/lib/systemd")
}
