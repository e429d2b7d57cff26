//go:build e2e

// Command fault runs a program and does it harm at one exact point: the program is killed right after it has changed
// something for the n-th time, or is told that the disk is full when it would take space for the n-th time. Changes are
// the system calls that alter files, and the D-Bus calls that do more than ask; those of the program's children do not
// count. It prints the changes as they happen, one a line, and exits as the program does: with 137 if it was killed.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
)

func main() {
	var (
		killAfter = flag.Int("kill-after", 0, "kill the program after the `NUMBER`th change")
		full      = flag.Int("full", 0, "the `NUMBER`th call that takes space fails: no space left on device")
		stay      = flag.Bool("stay", false, "with -full: all calls after that one that take space fail, too")
		log       = flag.String("log", "", "`FILE` for the changes (default: standard output)")
	)
	flag.Parse()
	t := &tracer{killAfter: *killAfter, full: *full, stay: *stay, log: os.Stdout}
	code, err := run(t, *log, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "fault: error:", err)
		os.Exit(125)
	}
	os.Exit(code)
}

func run(t *tracer, log string, argv []string) (int, error) {
	if len(argv) == 0 {
		return 0, fmt.Errorf("no program")
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, err
	}
	if log != "" {
		if t.log, err = os.Create(log); err != nil {
			return 0, err
		}
		defer t.log.Close()
	}
	return t.run(path, argv)
}
