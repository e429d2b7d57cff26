package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

// The tunnels of a gateway that has handed over go to the one that serves, each with both of its connections:
//
//	the predecessor:                               the successor:
//	POST /streams on the status socket         →
//	                                           ←     101; 404 if it is of a version that takes none
//	(parks a tunnel)
//	a movedTunnel, with the two sockets        →     counts it
//	                                           ←     verdict
//	an empty line: it is yours                 →     goes on with it
//	(counts it no more; parks the next one)
//
// Until the empty line it is the predecessor's, which goes on with it if anything fails: never do two read from a connection.

const (
	pathStreams = "/streams"
	// movePause is the time between two looks for tunnels to hand over: some are opened late. It doubles up to maxMovePause while some
	// cannot be handed over.
	movePause    = 50 * time.Millisecond
	maxMovePause = 5 * time.Second
	// maxMovedTunnel bounds what is said of a tunnel. Most of it are bytes that were read and not written yet.
	maxMovedTunnel = 1 << 20
)

// movedTunnel is what the successor has to know of a tunnel.
type movedTunnel struct {
	slot
	Frames     *wire.Frames  `json:"frames,omitempty"` // of a WebSocket
	ToClient   []byte        `json:"to_client,omitempty"`
	ToInstance []byte        `json:"to_instance,omitempty"`
	Began      time.Time     `json:"began"`
	Left       time.Duration `json:"left"`   // until its time is over
	Active     int64         `json:"active"` // when something passed last, in nanoseconds
	Idle       time.Duration `json:"idle_timeout,omitempty"`
	Protocol   string        `json:"protocol"`
	Method     string        `json:"method"`
	Host       string        `json:"host"`
	Path       []byte        `json:"path"`
	Client     string        `json:"client"` // its address
	ID         string        `json:"id"`
	Code       int           `json:"code"`
	FirstByte  time.Duration `json:"first_byte,omitempty"`
	Queued     time.Duration `json:"queued,omitempty"`
	Cold       time.Duration `json:"cold,omitempty"`
	Resends    int           `json:"resends,omitempty"`
	Received   int64         `json:"received,omitempty"`
	Sent       int64         `json:"sent,omitempty"`
}

// verdict is the answer to a tunnel: why it is not taken, if it is not.
type verdict struct {
	Refused string `json:"refused,omitempty"`
}

func newMovedTunnel(t *tunnel) *movedTunnel {
	x := t.exchange
	return &movedTunnel{
		slot: newSlot(x.lease.instance.id), Frames: t.frames, ToClient: t.unsentDown, ToInstance: t.unsentUp,
		Began: x.began, Left: time.Until(x.end), Active: t.active.Load(), Idle: t.idleTimeout,
		Protocol: x.origin.protocol, Method: x.method, Host: x.host, Path: []byte(x.path), Client: x.sender.client, ID: x.id, Code: x.code,
		FirstByte: x.firstByte, Queued: x.queued, Cold: x.wake.coldStart(), Resends: x.resends, Received: x.received.Load(), Sent: x.sent + t.sent,
	}
}

// restore makes an exchange, which has begun and has a lease, the one that opened the tunnel.
func (m *movedTunnel) restore(x *exchange, p *pool, l *lease) {
	x.host, x.id, x.began, x.end = m.Host, m.ID, m.Began, time.Now().Add(m.Left)
	x.origin.protocol, x.sender.client = m.Protocol, m.Client
	x.received.Store(m.Received)
	x.routing = routing{
		function: p.function, share: share{pool: p, idle: m.Idle}, pool: p, lease: l,
		wake: wake{took: m.Cold}, queued: m.Queued, resends: m.Resends,
	}
	x.responseSent = responseSent{code: m.Code, firstByte: m.FirstByte, sent: m.Sent}
}

// moveTunnels hands over the tunnels of a gateway that was dismissed, those that are opened late, too, until the context ends.
func (s *succession) moveTunnels(ctx context.Context) {
	pause := movePause
	for ctx.Err() == nil {
		if err := s.moveAll(ctx); err != nil {
			s.cfg.Logger.Debug("hand over tunnels", "err", err)
			pause = min(2*pause, maxMovePause)
		} else {
			pause = movePause
		}
		platform.Sleep(ctx, pause)
	}
}

// moveAll hands over the tunnels that there are. The error says why not all of them were taken.
func (s *succession) moveAll(ctx context.Context) error {
	tunnels := s.clients.env.proxy.tunnels.list()
	if len(tunnels) == 0 {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, handoverTimeout)
	defer cancel()
	conn, err := dialGateway(asking, s.cfg.Paths.GatewaySocket(), pathStreams)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	link := &tunnelLink{conn: conn, verdicts: json.NewDecoder(conn)}
	var refused error
	for _, t := range tunnels {
		if err := link.move(t); errors.Is(err, errRefused) {
			refused = err
		} else if err != nil {
			return err
		}
	}
	return refused
}

// errRefused is wrapped by the error of a tunnel that the successor does not take.
var errRefused = errors.New("the tunnel stays here")

// tunnelLink is the connection over which a predecessor hands its tunnels over.
type tunnelLink struct {
	conn     *net.UnixConn
	verdicts *json.Decoder
}

// move hands over one tunnel, which goes on here if the successor does not take it.
func (l *tunnelLink) move(t *tunnel) error {
	if t.lease.isDraining() || !t.park() {
		return nil // it ends anyhow
	}
	m := <-t.parked // comes at once: neither direction waits any more
	if m == nil {
		return nil
	}
	err := l.offer(m, t.client.Conn, t.instance.Conn)
	t.taken <- err == nil
	return err
}

// offer reports whether the tunnel is the successor's: without an error it is.
func (l *tunnelLink) offer(m *movedTunnel, sockets ...net.Conn) error {
	message, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(message) > maxMovedTunnel {
		return fmt.Errorf("%w: %d bytes would have to be said of it", errRefused, len(message))
	}
	_ = l.conn.SetDeadline(time.Now().Add(handoverTimeout)) // what is closed fails at once
	if err := netio.SendFiles(l.conn, sockets); err != nil {
		return err
	}
	if _, err := l.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)); err != nil {
		return err
	}
	var v verdict
	if err := l.verdicts.Decode(&v); err != nil {
		return err
	}
	if v.Refused != "" {
		return fmt.Errorf("%w: %s", errRefused, v.Refused)
	}
	_, err = l.conn.Write([]byte("\n"))
	return err
}

// serveStreams takes the tunnels of a gateway before this one.
func (s *succession) serveStreams(w http.ResponseWriter, r *http.Request) {
	if s.clients.env.stopping.Load() {
		http.Error(w, "this gateway ends, too", http.StatusConflict)
		return
	}
	conn, err := acceptUpgrade(w, r)
	if err != nil {
		s.cfg.Logger.Warn("take tunnels", "err", err)
		return
	}
	s.group.Go(func(ctx context.Context) {
		defer conn.Close()
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		for out := json.NewEncoder(conn); s.clients.takeTunnel(conn, out) == nil; {
		}
	})
}

// takeTunnel takes one tunnel, and goes on with it.
func (k *clients) takeTunnel(conn *net.UnixConn, out *json.Encoder) error {
	_ = conn.SetDeadline(time.Now().Add(handoverTimeout))
	files, err := netio.ReceiveFiles(conn)
	defer netio.CloseFiles(files)
	if err != nil {
		return err
	}
	m, err := readMovedTunnel(conn)
	if err != nil {
		return err
	}
	t, err := k.adoptTunnel(m, files)
	if err != nil {
		return out.Encode(verdict{Refused: err.Error()})
	}
	_ = conn.SetDeadline(time.Now().Add(handoverTimeout)) // not before that of the predecessor, which may just have let it go
	if err = out.Encode(verdict{}); err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		t.disown()
		return err
	}
	go t.serve()
	return nil
}

func readMovedTunnel(conn net.Conn) (*movedTunnel, error) {
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMovedTunnel {
		return nil, errors.New("more is said of the tunnel than there can be")
	}
	message := make([]byte, n)
	if _, err := io.ReadFull(conn, message); err != nil {
		return nil, err
	}
	m := new(movedTunnel)
	return m, json.Unmarshal(message, m)
}

// adoptedTunnel is a tunnel that was taken from a predecessor. Until it is served, that may still keep it.
type adoptedTunnel struct {
	clients *clients
	conn    *clientConn
	tunnel  *tunnel
	remove  func() // from the streams of its instance
}

// adoptTunnel counts a tunnel of a predecessor as one of this gateway, whatever limits there are: it is open already. The error says
// why it cannot be one.
func (k *clients) adoptTunnel(m *movedTunnel, files []*os.File) (*adoptedTunnel, error) {
	id, err := m.id()
	if err != nil {
		return nil, err
	}
	client, instance, err := connsOf(files)
	if err != nil {
		return nil, err
	}
	p := k.env.proxy.fleet.existing(id.Revision)
	var l *lease
	if p != nil {
		l = p.adopt(id.Index)
	}
	if l == nil {
		client.Close()
		instance.Close()
		return nil, fmt.Errorf("%s is not known", id)
	}
	t := &adoptedTunnel{clients: k, conn: newClientConn(&k.env, client)}
	t.open(m, p, l, instance)
	k.crowd.adopt(t.conn)
	if !k.adopt(t.conn) {
		t.drop()
		k.crowd.remove(t.conn)
		return nil, errors.New("this gateway ends, too")
	}
	return t, nil
}

// connsOf returns the connections to the client and to the instance, whose other ends must be there still.
func connsOf(files []*os.File) (client, instance net.Conn, err error) {
	if len(files) != 2 {
		return nil, nil, fmt.Errorf("there are %d sockets", len(files))
	}
	if client, err = net.FileConn(files[0]); err != nil {
		return nil, nil, err
	}
	if instance, err = net.FileConn(files[1]); err == nil && client.RemoteAddr() != nil {
		return client, instance, nil
	}
	client.Close()
	if err == nil {
		instance.Close()
		err = errClientGone
	}
	return nil, nil, err
}

// open makes the connection one whose request has opened the tunnel.
func (t *adoptedTunnel) open(m *movedTunnel, p *pool, l *lease, instance net.Conn) {
	x, client := t.conn.adopt(&wire.Request{Minor: 1, Method: []byte(m.Method), Path: m.Path, ContentLength: -1})
	m.restore(x, p, l)
	u := l.instance.upstream
	conn := newInstanceConn(instance, u.hangups, u.hungUp)
	x.http1.adopt(&x.request, &l.delivery, u, conn)
	t.tunnel = newTunnel(x, client, conn)
	t.tunnel.frames, t.tunnel.unsentDown, t.tunnel.unsentUp = m.Frames, m.ToClient, m.ToInstance
	t.tunnel.active.Store(m.Active)
	t.remove = l.addStream(x)
}

// serve goes on with the tunnel until its end.
func (t *adoptedTunnel) serve() {
	defer t.clients.end(t.conn)
	x := t.tunnel.exchange
	x.startServing(time.Now())
	err := x.reasonOf(t.tunnel.run())
	x.sent += t.tunnel.sent
	t.leave(err)
}

// disown leaves the tunnel to the predecessor.
func (t *adoptedTunnel) disown() {
	defer t.clients.end(t.conn)
	t.drop()
}

// drop counts the tunnel no more and closes what this gateway has of its connections.
func (t *adoptedTunnel) drop() {
	t.tunnel.letGo()
	t.leave(errHandedOver)
}

// leave ends the request.
func (t *adoptedTunnel) leave(err error) {
	x := t.tunnel.exchange
	t.remove()
	x.leave(&x.http1, err == nil)
	x.complete(err)
	t.conn.close()
}

// existing returns the pool of a revision, if there is one.
func (f *fleet) existing(id platform.RevisionID) *pool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pools[id]
}
