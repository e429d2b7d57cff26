//go:build e2e

package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// tracer follows the system calls of one program, in all its threads.
type tracer struct {
	killAfter int
	full      int
	stay      bool
	log       *os.File

	program int
	changes int           // that have happened
	space   int           // calls that take space, begun
	calls   map[int]*call // of each thread: the one that it is in
	threads map[int]bool  // that have stopped for the first time
}

// run returns the program's exit status.
func (t *tracer) run(path string, argv []string) (int, error) {
	runtime.LockOSThread() // ptrace takes orders from one thread only
	t.calls, t.threads = map[int]*call{}, map[int]bool{}
	process, err := os.StartProcess(path, argv, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return 0, err
	}
	t.program = process.Pid
	t.threads[t.program] = true
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.program, &status, unix.WALL, nil); err != nil {
		return 0, fmt.Errorf("wait for %s to begin: %w", path, err)
	}
	// Children are another kind of clone(2): they run free.
	if err := unix.PtraceSetOptions(t.program, unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_EXITKILL); err != nil {
		return 0, fmt.Errorf("trace %s: %w", path, err)
	}
	return t.follow()
}

// follow lets the program run from one system call to the next until it ends.
func (t *tracer) follow() (int, error) {
	thread, signal := t.program, 0
	for {
		// A thread that was killed meanwhile is no error: it is waited for below.
		if err := unix.PtraceSyscall(thread, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return 0, fmt.Errorf("trace: %w", err)
		}
		var status unix.WaitStatus
		var err error
		for running := false; !running; {
			if thread, err = wait(&status); err != nil {
				return 0, err
			}
			switch {
			case status.Stopped():
				running = true
			case thread == t.program && status.Exited():
				return status.ExitStatus(), nil
			case thread == t.program && status.Signaled():
				return 128 + int(status.Signal()), nil
			}
		}
		if signal, err = t.stopped(thread, status); err != nil {
			return 0, err
		}
	}
}

func wait(status *unix.WaitStatus) (int, error) {
	for {
		thread, err := unix.Wait4(-1, status, unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			return thread, err
		}
	}
}

// stopped deals with a thread that has stopped, and returns the signal that it is to get.
func (t *tracer) stopped(thread int, status unix.WaitStatus) (signal int, err error) {
	switch {
	case status.StopSignal() == unix.SIGTRAP|0x80:
		return 0, t.systemCall(thread)
	case status.StopSignal() == unix.SIGTRAP && status.TrapCause() > 0:
		return 0, nil // it has made a thread
	case status.StopSignal() == unix.SIGSTOP && !t.threads[thread]:
		t.threads[thread] = true // that is how a new thread begins
		return 0, nil
	}
	return int(status.StopSignal()), nil
}

func (t *tracer) systemCall(thread int) error {
	info, err := callInfo(thread)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at a system call: %w", err)
	}
	if info.op == unix.PTRACE_SYSCALL_INFO_ENTRY {
		return t.enter(thread, info)
	}
	return t.leave(thread, info)
}

// enter looks at a system call that is about to be done, while its arguments are there.
func (t *tracer) enter(thread int, info syscallInfo) error {
	c := describe(thread, info)
	t.calls[thread] = c
	if c == nil || !c.space || t.full == 0 {
		return nil
	}
	t.space++
	if c.refused = t.space == t.full || t.stay && t.space > t.full; !c.refused {
		return nil
	}
	return skipCall(thread)
}

// leave counts a system call that has been done. One that has failed has changed nothing.
func (t *tracer) leave(thread int, info syscallInfo) error {
	c := t.calls[thread]
	delete(t.calls, thread)
	switch {
	case c == nil:
		return nil
	case c.refused:
		fmt.Fprintln(t.log, "full", c.text)
		return setResult(thread, -int64(unix.ENOSPC))
	case info.failed() || c.writes && info.result() == 0:
		return nil
	}
	t.changes++
	fmt.Fprintln(t.log, c.text)
	if t.changes == t.killAfter {
		return unix.Kill(t.program, unix.SIGKILL)
	}
	return nil
}
