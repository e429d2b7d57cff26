//go:build e2e

package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Emulate boots an emulated machine of a suite, runs the program "run" of a directory there, as root in a copy of the
// directory, and returns its exit code. What the program writes goes to out.
//
// Such a machine has a kernel of its own, with all controllers of control groups and project quotas on its root, which a
// container may lack, and it takes about ten times as long. Nothing that it writes stays.
func Emulate(ctx context.Context, suite, dir string, out io.Writer) (code int, err error) {
	image, err := emulatedImage(ctx, suite)
	if err != nil {
		return 0, err
	}
	temporary, err := os.MkdirTemp("", "fnctl-emulated-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(temporary)
	disk := filepath.Join(temporary, "second.tar")
	if text, err := exec.CommandContext(ctx, "tar", "--create", "--file="+disk, "--directory="+dir, ".").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("make disk: %w\n%s", err, text)
	}
	console := filepath.Join(temporary, "console.log")
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", emulatorArgs(image, disk, console)...)
	// It must not outlive a test that is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&said, out), out
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(console)
		return 0, fmt.Errorf("emulate machine: %w\n%s", errors.Join(err, context.Cause(ctx)), tail(string(text)))
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if _, err := fmt.Sscanf(lines[len(lines)-1], "exit %d", &code); err != nil {
		text, _ := os.ReadFile(console)
		return 0, fmt.Errorf("emulate machine: it went down before the program ended\n%s", tail(string(text)))
	}
	return code, nil
}

func emulatedImage(ctx context.Context, suite string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(Root(), "testdata/machine/emulate"), suite)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("make emulated machine %s: %w", suite, err)
	}
	return strings.TrimSpace(string(out)), nil
}

func emulatorArgs(image, disk, console string) []string {
	return []string{
		"-accel", "tcg,thread=multi", "-smp", "2", "-m", "1500", "-display", "none", "-nic", "none", "-no-reboot",
		"-kernel", filepath.Join(image, "vmlinuz"), "-initrd", filepath.Join(image, "initrd"),
		"-append", "root=/dev/vda rw rootflags=prjquota console=ttyS0 quiet panic=-1 systemd.run=/usr/local/sbin/run-second-disk",
		"-snapshot",
		"-drive", "if=virtio,format=raw,file=" + filepath.Join(image, "disk.img"),
		"-drive", "if=virtio,format=raw,file=" + disk,
		"-serial", "file:" + console, "-serial", "stdio",
	}
}

// Here is the machine that the caller runs on as root. It cannot be taken down or up.
func Here() *Machine { return &Machine{leader: 1} }
