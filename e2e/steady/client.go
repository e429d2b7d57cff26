//go:build e2e

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"
)

// longestIdle is how long a connection is kept without a request: much less than the gateway keeps it, so that the two do
// not give it up and use it at the same time.
const longestIdle = 20 * time.Second

// errLost is the error of a request whose connection has ended without a byte of a response.
var errLost = errors.New("no answer")

func lost(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", errLost, err)
}

// client speaks HTTP/1.1 and repeats nothing. The one of net/http would repeat a GET that is lost on a connection that it
// has kept, and nobody would know.
type client struct {
	address string
	timeout time.Duration

	mu   sync.Mutex
	idle []*connection
}

// connection is one that was made for a request and is kept for others.
type connection struct {
	*net.TCPConn
	reader *bufio.Reader
	used   time.Time
}

// newClient makes one that connects to this machine, whatever the name.
func newClient(target *url.URL, timeout time.Duration) *client {
	return &client{address: net.JoinHostPort("127.0.0.1", target.Port()), timeout: timeout}
}

// ask sends a request and expects 200, on a connection that was kept or will be, or on one of its own. It returns how long
// it took to connect.
func (c *client) ask(method string, target *url.URL, keep bool) (connect time.Duration, err error) {
	began := time.Now()
	conn := (*connection)(nil)
	if keep {
		conn = c.takeIdle()
	}
	if conn == nil {
		if conn, err = c.dial(); err != nil {
			return time.Since(began), err
		}
		connect = time.Since(began)
	}
	if err := conn.SetDeadline(began.Add(c.timeout)); err != nil {
		return connect, err
	}
	lasts, err := conn.exchange(method, target, keep)
	if err != nil || !lasts {
		conn.Close()
		return connect, err
	}
	conn.used = time.Now()
	c.mu.Lock()
	c.idle = append(c.idle, conn)
	c.mu.Unlock()
	return connect, nil
}

func (c *client) dial() (*connection, error) {
	conn, err := net.DialTimeout("tcp", c.address, c.timeout)
	if err != nil {
		return nil, err
	}
	return &connection{TCPConn: conn.(*net.TCPConn), reader: bufio.NewReader(conn)}, nil
}

// takeIdle returns the connection that was used last, if there is one that the other end has not closed.
func (c *client) takeIdle() *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.idle) > 0 {
		conn := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		if time.Since(conn.used) < longestIdle && conn.isOpen() {
			return conn
		}
		conn.Close()
	}
	return nil
}

// isOpen reports whether nothing has arrived on an idle connection, not even its end.
func (c *connection) isOpen() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	open := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		open = errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && open
}

// exchange sends a request and reads the response. It reports whether the connection lasts.
func (c *connection) exchange(method string, target *url.URL, keep bool) (lasts bool, err error) {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", method, target.RequestURI(), target.Host)
	if !keep {
		head += "Connection: close\r\n"
	}
	if method == http.MethodPost {
		head += "Content-Length: 0\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		return false, lost(err)
	}
	if _, err := c.reader.Peek(1); err != nil {
		return false, lost(err)
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return false, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return keep && !resp.Close, err
}
