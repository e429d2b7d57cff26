package gateway

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

// sendFiles sends the sockets of listeners, with a newline. It duplicates the descriptors itself: the File of a listener would
// make the socket a blocking one, in all processes that have it.
func sendFiles(conn *net.UnixConn, listeners []net.Listener) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}()
	for _, listener := range listeners {
		of, ok := listener.(syscall.Conn)
		if !ok {
			return fmt.Errorf("%s cannot be handed over", listener.Addr())
		}
		fd, err := duplicate(of)
		if err != nil {
			return fmt.Errorf("hand over %s: %w", listener.Addr(), err)
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

// receiveFiles receives what sendFiles sends.
func receiveFiles(conn *net.UnixConn) ([]*os.File, error) {
	newline, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4*maxFiles))
	_, n, _, _, err := conn.ReadMsgUnix(newline, rights) // close-on-exec
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, errors.New("there are none")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	files := make([]*os.File, len(fds))
	for n, fd := range fds {
		files[n] = os.NewFile(uintptr(fd), "socket")
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		file.Close()
	}
}

// peerUser returns the user of the process at the other end of a unix socket.
func peerUser(conn *net.UnixConn) (uid uint32, err error) {
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
