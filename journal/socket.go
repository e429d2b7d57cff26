package journal

import (
	"errors"
	"net"
	"os"
	"time"
)

// SocketPath is where journald listens for entries.
const SocketPath = "/run/systemd/journal/socket"

// Socket sends entries to journald, in its native protocol, and allocates nothing for one. It is for one goroutine.
type Socket struct {
	Path string
	conn net.Conn
}

// Send sends an entry. It waits until the deadline if journald is behind, and connects anew if journald's socket is another.
func (s *Socket) Send(entry []byte, deadline time.Time) error {
	if s.conn != nil {
		err := s.write(entry, deadline)
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		s.Close()
	}
	conn, err := net.Dial("unixgram", s.Path)
	if err != nil {
		return err
	}
	s.conn = conn
	return s.write(entry, deadline)
}

func (s *Socket) write(entry []byte, deadline time.Time) error {
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := s.conn.Write(entry)
	return err
}

// Close closes the connection to journald.
func (s *Socket) Close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
