package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// upstreamIdleTimeout is how long an idle connection to an instance is kept. It is shorter than the keep-alive of any
	// common server (gunicorn 2 s, uvicorn and node 5 s), so that it is always the gateway that closes, and never on a
	// request. To connect again costs 20 µs.
	upstreamIdleTimeout = time.Second
	// spareTimeout is how long the connection of a proof waits for its request.
	spareTimeout = time.Second
	// backlogPause is the time between two attempts to connect to a socket whose queue is full.
	backlogPause = time.Millisecond
	// backlogPatience bounds them.
	backlogPatience = 10 * time.Second
)

// errDial is wrapped by the error of a connection that could not be made: nothing was sent.
var errDial = errors.New("connect to the instance")

// errRepeat is a dial that was not even tried: the connection broke over which the request was sent already.
var errRepeat = errors.New("the instance closed the connection")

// upstream is the connections to one instance.
type upstream struct {
	socket    string
	lost      func()
	transport *http.Transport

	mu    sync.Mutex
	spare *spare
}

// spare is the connection of a proof: the instance has read the first byte of a request from it.
type spare struct {
	conn  net.Conn
	first byte
	timer *time.Timer
}

// newUpstream calls lost when the instance closes a connection.
func newUpstream(socket string, lost func()) *upstream {
	u := &upstream{socket: socket, lost: lost}
	u.transport = &http.Transport{
		DialContext:           u.dial,
		DisableCompression:    true,
		MaxIdleConnsPerHost:   1024,
		IdleConnTimeout:       upstreamIdleTimeout,
		ExpectContinueTimeout: time.Second,
	}
	return u
}

// RoundTrip sends a request to the instance.
func (u *upstream) RoundTrip(req *http.Request) (*http.Response, error) {
	return u.transport.RoundTrip(req)
}

// dial connects to the instance, or takes the connection that proved it.
func (u *upstream) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if repeats(ctx) {
		return nil, errRepeat
	}
	if s := u.takeSpare(); s != nil {
		return newConn(newSpareConn(s, u.socket), u.lost), nil
	}
	conn, err := dialSocket(ctx, u.socket)
	if err != nil {
		return nil, err
	}
	return newConn(conn, u.lost), nil
}

// dialSocket waits while the socket's queue is full: a full queue is load, not a failure.
func dialSocket(ctx context.Context, socket string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, backlogPatience)
	defer cancel()
	var dialer net.Dialer
	for {
		conn, err := dialer.DialContext(ctx, "unix", socket)
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, unix.EAGAIN) || ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", errDial, err)
		}
		sleep(ctx, backlogPause)
	}
}

// keep puts the connection of a proof aside for the next request.
func (u *upstream) keep(conn net.Conn, first byte) {
	s := &spare{conn: conn, first: first}
	u.mu.Lock()
	old := u.spare
	u.spare = s
	s.timer = time.AfterFunc(spareTimeout, func() { u.dropSpare(s) })
	u.mu.Unlock()
	old.close()
}

func (u *upstream) takeSpare() *spare {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.spare
	u.spare = nil
	if s != nil {
		s.timer.Stop()
	}
	return s
}

func (u *upstream) dropSpare(s *spare) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.spare == s {
		u.spare = nil
		s.close()
	}
}

func (s *spare) close() {
	if s != nil {
		s.timer.Stop()
		s.conn.Close()
	}
}

// closeIdle closes all connections of an instance that has nothing in flight.
func (u *upstream) closeIdle() {
	u.takeSpare().close()
	u.transport.CloseIdleConnections()
}
