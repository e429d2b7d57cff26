package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
)

// handoverTimeout bounds each step of a handover: both ends do little.
const handoverTimeout = 10 * time.Second

// Predecessor is the gateway that runs, and whose place another one takes. It accepts until that one is ready.
type Predecessor struct {
	// Listeners, Secure, Redirecting and Status are its sockets, as in Config.
	Listeners, Secure, Redirecting, Status []net.Listener

	conn *net.UnixConn
	in   *json.Decoder
}

// Succeed asks the gateway that answers on a status socket for its sockets. That gateway goes on if nothing comes of it: if
// the context ends, the Predecessor is closed, or this process ends, before a gateway runs with it.
func Succeed(ctx context.Context, socket string) (*Predecessor, error) {
	ctx, cancel := context.WithTimeout(ctx, handoverTimeout)
	defer cancel()
	conn, err := dialGateway(ctx, socket, pathHandover)
	if err != nil {
		return nil, err
	}
	p := &Predecessor{conn: conn, in: json.NewDecoder(conn)}
	if err := p.take(); err != nil {
		p.Close()
		return nil, fmt.Errorf("take over the sockets: %w", err)
	}
	return p, nil
}

// dialGateway upgrades a connection to the gateway that answers on a status socket.
func dialGateway(ctx context.Context, socket, path string) (*net.UnixConn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway that runs: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(netio.Past) })
	if err = upgrade(conn, path); err == nil && !stop() {
		err = ctx.Err()
	}
	if err != nil {
		stop()
		conn.Close()
		return nil, fmt.Errorf("ask the gateway that runs: %w", err)
	}
	return conn.(*net.UnixConn), nil
}

func upgrade(conn net.Conn, path string) error {
	request := "POST " + path + " HTTP/1.1\r\nHost: gateway\r\nContent-Length: 0\r\nConnection: Upgrade\r\nUpgrade: " + handoverName + "\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	// Nothing comes after the response before the next message, so that the reader takes nothing that is not its own.
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusSwitchingProtocols:
		return nil
	case http.StatusNotFound:
		return errors.New("it is of a version that cannot hand over")
	}
	return fmt.Errorf("it answered %s", response.Status)
}

// take receives the sockets.
func (p *Predecessor) take() error {
	_ = p.conn.SetDeadline(time.Now().Add(handoverTimeout))
	if _, err := p.conn.Write([]byte{allSockets}); err != nil {
		return err
	}
	files, err := netio.ReceiveFiles(p.conn)
	defer netio.CloseFiles(files)
	if err != nil {
		return err
	}
	var m fromPredecessor
	if err := p.in.Decode(&m); err != nil {
		return err
	}
	o := m.Offer
	if o == nil || o.HTTP < 1 || min(o.Secure, o.Redirecting, o.Status) < 0 || o.HTTP+o.Secure+o.Redirecting+o.Status != len(files) {
		return errors.New("there are not as many as it says")
	}
	for _, kind := range []struct {
		listeners *[]net.Listener
		n         int
	}{{&p.Listeners, o.HTTP}, {&p.Secure, o.Secure}, {&p.Redirecting, o.Redirecting}, {&p.Status, o.Status}} {
		for _, file := range files[:kind.n] {
			listener, err := net.FileListener(file)
			if err != nil {
				return err
			}
			*kind.listeners = append(*kind.listeners, listener)
		}
		files = files[kind.n:]
	}
	return p.conn.SetDeadline(time.Time{})
}

// Close leaves the gateway that runs alone. It is for a Predecessor with which no gateway is made.
func (p *Predecessor) Close() {
	p.conn.Close()
	for _, listener := range slices.Concat(p.Listeners, p.Secure, p.Redirecting, p.Status) {
		listener.Close()
	}
}
