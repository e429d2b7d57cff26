//go:build e2e

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sets of registers of ptrace(2).
const (
	general    = 1     // NT_PRSTATUS
	systemCall = 0x404 // NT_ARM_SYSTEM_CALL
)

// skipCall makes the kernel do nothing in place of the system call that a thread has entered.
func skipCall(thread int) error {
	none := int32(-1)
	set := unix.Iovec{Base: (*byte)(unsafe.Pointer(&none)), Len: uint64(unsafe.Sizeof(none))}
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGSET, uintptr(thread), systemCall, uintptr(unsafe.Pointer(&set)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// setResult sets what the system call returns that a thread leaves.
func setResult(thread int, result int64) error {
	var regs unix.PtraceRegsArm64
	if err := unix.PtraceGetRegSetArm64(thread, general, &regs); err != nil {
		return err
	}
	regs.Regs[0] = uint64(result)
	return unix.PtraceSetRegSetArm64(thread, general, &regs)
}
