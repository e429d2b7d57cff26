//go:build e2e

package main

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// monotonic is the clock that systemd's timestamps are of, in seconds.
func monotonic() float64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		panic(err) // Linux has it
	}
	return float64(now.Sec) + float64(now.Nsec)/1e9
}

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func systemctl(args ...string) error { return run("systemctl", args...) }

// show returns a property of a unit.
func show(unit, property string) (string, error) {
	out, err := exec.Command("systemctl", "show", "--value", "--property="+property, unit).Output()
	return strings.TrimSpace(string(out)), err
}

// timestamp returns a monotonic timestamp of a unit, in seconds.
func timestamp(unit, property string) (float64, error) {
	text, err := show(unit, property)
	if err != nil {
		return 0, err
	}
	usec, err := strconv.ParseFloat(text, 64)
	return usec / 1e6, err
}
