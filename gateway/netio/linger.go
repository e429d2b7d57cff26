package netio

import (
	"errors"
	"net"
	"os"
	"time"
)

// Linger ends a connection in stages (RFC 9112, section 9.6), so that the other end can read what was sent; the caller closes it then.
// It says that nothing more comes, and drops what the other end sends until that says the same, or has sent nothing for a time after it
// has got everything. It waits for most at most, and less if reading is interrupted. It takes no memory.
func Linger(conn net.Conn, in *IdleReader, reads *ReadLimit, quiet, most time.Duration) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	for end := time.Now().Add(most); time.Now().Before(end); {
		reads.Set(time.Now().Add(quiet))
		if err := in.Drop(); !errors.Is(err, os.ErrDeadlineExceeded) || reads.IsInterrupted() || Untaken(in.Raw()) == 0 {
			return
		}
	}
}
