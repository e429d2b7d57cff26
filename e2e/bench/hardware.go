//go:build e2e

package main

import (
	"context"
	"os"
	"strings"
)

// covered is what a container has mounted over parts of /proc, and real hardware has not. Of the covers of /proc/sys one
// stays: hardware has an automount point there.
const covered = "/proc/acpi /proc/bus /proc/fs /proc/irq /proc/kmsg /proc/sys/kernel/random/boot_id /proc/sys/net"

// likeHardware makes starts of services cost what they do on hardware. It takes away what a container covers in /proc: each
// mount there is looked at, several times, for each sandbox that has a /proc of its own. What the package does for control
// groups (fnctl-favordynmods.service) is the host's to do here.
func (l *lab) likeHardware(ctx context.Context) error {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if mount := strings.Fields(line); mount[2] == "cgroup2" && !strings.Contains(mount[3], "favordynmods") {
			l.step("note: starts take longer than with the package on this host: mount -o remount,favordynmods %s", mount[1])
		}
	}
	_, err = l.run(ctx, "sh", "-c", "for path in "+covered+"; do while mountpoint -q $path; do umount $path || exit; done; done")
	return err
}
