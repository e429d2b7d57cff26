package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// handoverPatience bounds each step of a handover: both ends do little.
	handoverPatience = 10 * time.Second
)

// Predecessor is the gateway that runs, and whose place another one takes. It accepts until that one is ready.
type Predecessor struct {
	// Listeners and Status are the sockets that it has: those for clients, and those for the status.
	Listeners, Status []net.Listener

	conn *net.UnixConn
	in   *json.Decoder
}

// Succeed asks the gateway that answers on a status socket for its sockets. It goes on if nothing comes of it: if the
// context ends, the Predecessor is closed, or this process ends, before a gateway runs with it.
func Succeed(ctx context.Context, socket string) (*Predecessor, error) {
	ctx, cancel := context.WithTimeout(ctx, handoverPatience)
	defer cancel()
	conn, err := ask(ctx, socket, pathHandover)
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

// ask upgrades a connection to the gateway that answers on a status socket.
func ask(ctx context.Context, socket, path string) (*net.UnixConn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway that runs: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
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
	_ = p.conn.SetDeadline(time.Now().Add(handoverPatience))
	if _, err := p.conn.Write([]byte("\n")); err != nil {
		return err
	}
	files, err := receiveFiles(p.conn)
	defer closeAll(files)
	if err != nil {
		return err
	}
	var m fromPredecessor
	if err := p.in.Decode(&m); err != nil {
		return err
	}
	if m.Offer == nil || m.Offer.HTTP < 1 || m.Offer.HTTP+m.Offer.Status != len(files) {
		return errors.New("there are not as many as it says")
	}
	for n, file := range files {
		listener, err := net.FileListener(file)
		if err != nil {
			return err
		}
		if n < m.Offer.HTTP {
			p.Listeners = append(p.Listeners, listener)
		} else {
			p.Status = append(p.Status, listener)
		}
	}
	return p.conn.SetDeadline(time.Time{})
}

// Close leaves the gateway alone. It is for whoever makes no gateway with it.
func (p *Predecessor) Close() {
	p.conn.Close()
	for _, listener := range append(p.Listeners, p.Status...) {
		listener.Close()
	}
}

// predecessors are the gateways that have handed over and are not done yet.
type predecessors struct {
	mu  sync.Mutex
	all []*predecessor
}

func (s *predecessors) list() []*predecessor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

// wait waits until the last one has ended, or the context.
func (s *predecessors) wait(ctx context.Context) {
	for _, p := range s.list() {
		select {
		case <-ctx.Done():
		case <-p.done:
		}
	}
}

// hurry has them close what is idle.
func (s *predecessors) hurry() {
	for _, p := range s.list() {
		p.tell(func(m *fromSuccessor) { m.Hurry = true })
	}
}

func (s *predecessors) add(p *predecessor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all[:len(s.all):len(s.all)], p)
}

func (s *predecessors) remove(p *predecessor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []*predecessor
	for _, other := range s.all {
		if other != p {
			left = append(left, other)
		}
	}
	s.all = left
}

// predecessor is a gateway that finishes what it has, and tells what that is.
type predecessor struct {
	fleet    *fleet
	conn     net.Conn
	in       *json.Decoder
	resigned chan struct{}
	done     chan struct{}
	changed  chan struct{} // there is something to say

	mu     sync.Mutex
	out    fromSuccessor
	number uint64 // of the last departure
	ended  bool
}

// attend begins to listen to a predecessor. The crew does it until one of the two ends.
func (f *fleet) attend(conn net.Conn, in *json.Decoder) *predecessor {
	p := &predecessor{
		fleet: f, conn: conn, in: in,
		resigned: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}, 1),
	}
	f.predecessors.add(p)
	f.crew.Go(p.run)
	return p
}

func (p *predecessor) run(ctx context.Context) {
	defer close(p.done)
	defer p.conn.Close()
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer stop()
	var writing sync.WaitGroup
	writing.Go(p.write)
	defer writing.Wait()
	p.read()
	p.end()
}

// read takes over what it says until it ends.
func (p *predecessor) read() {
	for {
		var m fromPredecessor
		if p.in.Decode(&m) != nil {
			return
		}
		p.hear(&m)
	}
}

func (p *predecessor) hear(m *fromPredecessor) {
	for _, l := range m.Loads {
		if id, err := platform.ParseRevisionID(l.Revision); err == nil {
			p.fleet.remain(p, id, l)
		}
	}
	if m.Seen > 0 {
		for _, pool := range p.fleet.recent.list() {
			pool.seen(p, m.Seen)
		}
	}
	if m.Resigned {
		close(p.resigned)
	}
}

// end forgets all that is left there.
func (p *predecessor) end() {
	p.mu.Lock()
	p.ended = true
	close(p.changed)
	p.mu.Unlock()
	p.fleet.predecessors.remove(p)
	for _, pool := range p.fleet.all() {
		pool.settle(p)
	}
}

// write says what there is to say, until the end.
func (p *predecessor) write() {
	out := json.NewEncoder(p.conn)
	for range p.changed {
		_ = p.conn.SetWriteDeadline(time.Now().Add(handoverPatience))
		if out.Encode(p.takeOut()) != nil {
			p.conn.Close()
		}
	}
}

func (p *predecessor) takeOut() fromSuccessor {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.out
	p.out = fromSuccessor{}
	return m
}

// tell adds to what there is to say. It does not wait. It reports false if nobody listens any more.
func (p *predecessor) tell(add func(*fromSuccessor)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	add(&p.out)
	select {
	case p.changed <- struct{}{}:
	default: // it will be said with what is there already
	}
	return true
}

// departed says that an instance is gone, and returns the number of that.
func (p *predecessor) departed(id platform.InstanceID) (number uint64, ok bool) {
	ok = p.tell(func(m *fromSuccessor) {
		p.number++
		number = p.number
		m.Gone = append(m.Gone, departure{grantOf: newGrant(id), Number: number})
	})
	return number, ok
}

func (p *predecessor) grant(id platform.InstanceID) {
	p.tell(func(m *fromSuccessor) { m.Grants = append(m.Grants, newGrant(id)) })
}

func newGrant(id platform.InstanceID) grantOf {
	return grantOf{Revision: id.Revision.String(), Instance: id.Index}
}

// remain takes over what a predecessor has left of a revision.
func (f *fleet) remain(from *predecessor, id platform.RevisionID, l load) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pools[id] == nil && l.isEmpty() {
		return
	}
	f.pool(id).remain(from, l)
}

// all lists the pools.
func (f *fleet) all() []*pool {
	_, pools := f.survey()
	return pools
}

// takeOver asks the gateway that runs to accept nothing more, now that this one knows all routes and instances.
func (g *Gateway) takeOver(ctx context.Context, from *predecessor) error {
	from.tell(func(m *fromSuccessor) { m.Dismiss = true })
	patience := time.NewTimer(handoverPatience)
	defer patience.Stop()
	select {
	case <-from.resigned:
		return nil
	case <-from.done:
		return errors.New("take over: the gateway that ran has ended")
	case <-patience.C:
		return errors.New("take over: the gateway that runs doesn't answer")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
