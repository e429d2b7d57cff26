package cli

import (
	"errors"
	"net"
	"os"
	"time"
)

const journalSocketPath = "/run/systemd/journal/socket"

// journalSocket sends entries to journald, in its native protocol, and allocates nothing for one. It is for one goroutine.
type journalSocket struct {
	path string
	conn net.Conn
}

// send sends an entry. It waits until the deadline if journald is behind, and connects anew if journald's socket is another.
func (s *journalSocket) send(entry []byte, deadline time.Time) error {
	if s.conn != nil {
		err := s.write(entry, deadline)
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		s.close()
	}
	conn, err := net.Dial("unixgram", s.path)
	if err != nil {
		return err
	}
	s.conn = conn
	return s.write(entry, deadline)
}

func (s *journalSocket) write(entry []byte, deadline time.Time) error {
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := s.conn.Write(entry)
	return err
}

func (s *journalSocket) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
