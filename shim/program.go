package shim

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// program is the one behind the shim, as a process.
type program struct {
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the program has ended
	signals chan os.Signal
}

// catchSignals takes the signals that are meant for the program: those that others send, and that it may want to handle.
func catchSignals() chan os.Signal {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH)
	return signals
}

// forwardSignals passes them on. stopping is called before the program gets one that ends it.
func (p *program) forwardSignals(stopping func()) {
	for {
		select {
		case <-p.ended:
			return
		case s := <-p.signals:
			if s == unix.SIGTERM || s == unix.SIGINT || s == unix.SIGQUIT {
				stopping()
			}
			_ = p.cmd.Process.Signal(s) // it may have ended
		}
	}
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// endLikeIt ends this process as the program has ended, so that systemd sees the same.
func (p *program) endLikeIt() {
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		os.Exit(status.ExitStatus())
	}
	dieBy(status.Signal())
}

// shellSignaled is what a shell adds to the number of a signal.
const shellSignaled = 128

// dieBy lets a signal end this process. Go handles some of them even after signal.Reset, so the kernel is told.
func dieBy(number syscall.Signal) {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // the program's core is the one to look at
	const setSize = 8
	var byDefault [4]uint64 // struct sigaction of the kernel: SIG_DFL, no flags
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(&byDefault)), 0, setSize, 0, 0)
	_ = unix.Kill(os.Getpid(), number)
	time.Sleep(time.Second) // it ends any moment now
	os.Exit(shellSignaled + int(number))
}
