//go:build e2e

package main

import "golang.org/x/sys/unix"

// skipCall makes the kernel do nothing in place of the system call that a thread has entered.
func skipCall(thread int) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	regs.Orig_rax = ^uint64(0)
	return unix.PtraceSetRegs(thread, &regs)
}

// setResult sets what the system call returns that a thread leaves.
func setResult(thread int, result int64) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(thread, &regs); err != nil {
		return err
	}
	regs.Rax = uint64(result)
	return unix.PtraceSetRegs(thread, &regs)
}
