package netio

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxFiles is how many sockets one message may carry; the kernel takes no more.
const maxFiles = 253

// SendFiles sends sockets to another process, with a newline. It duplicates the descriptors itself: the File of a socket would make it
// a blocking one, in all processes that have it.
func SendFiles[S any](conn *net.UnixConn, sockets []S) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, socket := range sockets {
		of, ok := any(socket).(syscall.Conn)
		if !ok {
			return fmt.Errorf("a %T cannot be handed over", socket)
		}
		fd, err := duplicate(of)
		if err != nil {
			return fmt.Errorf("hand over a %T: %w", socket, err)
		}
		fds = append(fds, fd)
	}
	_, _, err := conn.WriteMsgUnix([]byte("\n"), unix.UnixRights(fds...), nil)
	return err
}

func duplicate(of syscall.Conn) (fd int, err error) {
	raw, err := of.SyscallConn()
	if err != nil {
		return 0, err
	}
	if failed := raw.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); failed != nil {
		return 0, failed
	}
	return fd, err
}

// ReceiveFiles receives what SendFiles sends. It takes all or none: a process that has too many files open gets some of them only.
func ReceiveFiles(conn *net.UnixConn) ([]*os.File, error) {
	newline, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4*maxFiles))
	_, n, flags, _, err := conn.ReadMsgUnix(newline, rights) // close-on-exec
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, _ := unix.ParseUnixRights(&messages[i]) // none, if it is of another kind
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "socket"))
		}
	}
	if len(files) == 0 || flags&unix.MSG_CTRUNC != 0 {
		CloseFiles(files)
		return nil, errors.New("the sockets did not come with the message")
	}
	return files, nil
}

// CloseFiles closes files.
func CloseFiles(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// PeerUser returns the user of the process at the other end of a unix socket.
func PeerUser(conn *net.UnixConn) (uid uint32, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	if failed := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); failed != nil {
		return 0, failed
	}
	if err != nil {
		return 0, err
	}
	return peer.Uid, nil
}
