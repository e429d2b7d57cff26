package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// reportPause is how often a predecessor looks what it has left, and stirPause how soon it says that an instance is
	// free which somebody may wait for.
	reportPause = 50 * time.Millisecond
	stirPause   = time.Millisecond
	// seekPause is the time between two tries to find another successor.
	seekPause = 100 * time.Millisecond
)

// succession is how a gateway ends whose place another one takes.
type succession struct {
	busy      atomic.Bool   // somebody is about to take its place, or has
	dismissed chan struct{} // another one accepts from now on
	released  chan struct{} // and it may end
}

func newSuccession() *succession {
	return &succession{dismissed: make(chan struct{}), released: make(chan struct{})}
}

func (s *succession) isDismissed() bool {
	select {
	case <-s.dismissed:
		return true
	default:
		return false
	}
}

// successor is the gateway that a predecessor tells what it has left.
type successor struct {
	gateway *Gateway
	conn    *net.UnixConn
	stirred chan struct{}
	told    map[platform.RevisionID]load

	mu       sync.Mutex
	seen     uint64 // the last departure
	resigned bool
}

func newSuccessor(g *Gateway, conn *net.UnixConn) *successor {
	return &successor{gateway: g, conn: conn, stirred: make(chan struct{}, 1), told: make(map[platform.RevisionID]load)}
}

// stir has it told soon what has changed.
func (s *successor) stir() {
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// serveHandover gives the sockets to a process that is about to take this one's place.
func (g *Gateway) serveHandover(w http.ResponseWriter, r *http.Request) {
	if !g.succession.busy.CompareAndSwap(false, true) {
		http.Error(w, "another gateway takes over already", http.StatusConflict)
		return
	}
	conn, err := g.hijack(w, r)
	if err != nil {
		g.succession.busy.Store(false)
		g.log.Warn("hand over", "err", err)
		return
	}
	g.crew.Go(func(ctx context.Context) { g.handOver(ctx, conn) })
}

// servePredecessor listens to a gateway that has lost its successor.
func (g *Gateway) servePredecessor(w http.ResponseWriter, r *http.Request) {
	conn, err := g.hijack(w, r)
	if err != nil {
		g.log.Warn("listen to a gateway before this one", "err", err)
		return
	}
	g.fleet.attend(conn, json.NewDecoder(conn))
}

// hijack upgrades the connection of a process that may have the sockets: one of the same user, or root's. The status socket
// is open to more than these.
func (g *Gateway) hijack(w http.ResponseWriter, r *http.Request) (*net.UnixConn, error) {
	conn, ok := r.Context().Value(connKey{}).(*net.UnixConn)
	if !ok {
		http.Error(w, "only over the unix socket", http.StatusForbidden)
		return nil, errors.New("it was asked over the network")
	}
	uid, err := peerUser(conn)
	if err != nil || uid != 0 && int(uid) != os.Getuid() {
		http.Error(w, "only for the user of the gateway", http.StatusForbidden)
		return nil, errors.Join(errors.New("another user has asked"), err)
	}
	if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(handoverPatience))
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + handoverName + "\r\n\r\n"
	if _, err := conn.Write([]byte(switching)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// handOver lets a process take the place of this one. If nothing comes of it, this one goes on.
func (g *Gateway) handOver(ctx context.Context, conn *net.UnixConn) {
	s := newSuccessor(g, conn)
	err := s.offer()
	if err == nil {
		err = s.run(ctx)
	}
	conn.Close()
	if !g.succession.isDismissed() {
		g.log.Warn("no other gateway has taken over: this one goes on", "err", err)
		g.succession.busy.Store(false)
		return
	}
	s.release()
	g.fleet.govern(nil)
	g.seek(ctx)
}

// offer sends the sockets.
func (s *successor) offer() error {
	_ = s.conn.SetDeadline(time.Now().Add(handoverPatience))
	cfg := &s.gateway.cfg
	if _, err := s.conn.Read(make([]byte, 1)); err != nil {
		return err
	}
	if err := sendFiles(s.conn, append(cfg.Listeners[:len(cfg.Listeners):len(cfg.Listeners)], cfg.Status...)); err != nil {
		return err
	}
	m := fromPredecessor{Offer: &offer{HTTP: len(cfg.Listeners), Status: len(cfg.Status)}}
	if err := json.NewEncoder(s.conn).Encode(m); err != nil {
		return err
	}
	return s.conn.SetDeadline(time.Time{})
}

// run tells the successor what is left and does what it says, until one of the two ends.
func (s *successor) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var reporting sync.WaitGroup
	defer reporting.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	reporting.Go(func() { s.report(ctx) })
	for in := json.NewDecoder(s.conn); ; {
		var m fromSuccessor
		if err := in.Decode(&m); err != nil {
			return err
		}
		s.hear(&m)
	}
}

func (s *successor) hear(m *fromSuccessor) {
	fleet := s.gateway.fleet
	if m.Dismiss {
		s.dismiss()
	}
	for _, d := range m.Gone {
		if id, err := d.id(); err == nil {
			fleet.vanish(id)
		}
		s.mu.Lock()
		s.seen = d.Number
		s.mu.Unlock()
	}
	for _, g := range m.Grants {
		if id, err := g.id(); err == nil {
			fleet.granted(id)
		}
	}
	if len(m.Gone)+len(m.Grants) > 0 {
		s.stir()
	}
	if m.Release {
		s.release()
	}
	if m.Hurry {
		s.gateway.clients.hurry()
		fleet.predecessors.hurry()
	}
}

// dismiss has this gateway accept nothing more. The last report before it says so is one of after that it lends nothing by
// itself.
func (s *successor) dismiss() {
	if s.gateway.succession.isDismissed() {
		return
	}
	s.gateway.clients.lasting.Store(true)
	s.gateway.fleet.govern(s)
	close(s.gateway.succession.dismissed)
	s.mu.Lock()
	s.resigned = true
	s.mu.Unlock()
	s.stir()
}

// release lets this gateway end when it is done.
func (s *successor) release() {
	select {
	case <-s.gateway.succession.released:
	default:
		close(s.gateway.succession.released)
	}
}

// report tells what is left whenever it changes, until the context ends.
func (s *successor) report(ctx context.Context) {
	out := json.NewEncoder(s.conn)
	timer := time.NewTicker(reportPause)
	defer timer.Stop()
	var before fromPredecessor
	for ctx.Err() == nil {
		m := s.news(before)
		before.Seen, before.Resigned = max(before.Seen, m.Seen), before.Resigned || m.Resigned
		if len(m.Loads) > 0 || m.Seen > 0 || m.Resigned {
			_ = s.conn.SetWriteDeadline(time.Now().Add(handoverPatience))
			if out.Encode(m) != nil {
				s.conn.Close()
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.stirred:
			sleep(ctx, stirPause)
		}
	}
}

// news is what was not said before. What was seen, and whether this gateway has resigned, is older than the loads.
func (s *successor) news(before fromPredecessor) (m fromPredecessor) {
	s.mu.Lock()
	if s.seen > before.Seen {
		m.Seen = s.seen
	}
	m.Resigned = s.resigned && !before.Resigned
	s.mu.Unlock()
	m.Loads = s.differences()
	return m
}

// differences are the loads that are others than those that were told.
func (s *successor) differences() []load {
	var changed []load
	now := make(map[platform.RevisionID]load)
	for _, p := range s.gateway.fleet.recent.list() {
		l := p.left()
		now[p.revision] = l
		if before := s.told[p.revision]; !l.equals(before) {
			changed = append(changed, l)
		}
	}
	for id, before := range s.told {
		if _, there := now[id]; !there && !before.isEmpty() {
			changed = append(changed, load{Revision: before.Revision, Granted: before.Granted})
		}
	}
	s.told = now
	return changed
}

func (l *load) equals(other load) bool {
	return l.InFlight == other.InFlight && l.Queued == other.Queued && l.Asks == other.Asks && l.Granted == other.Granted &&
		maps.Equal(l.Instances, other.Instances)
}

// seek finds another successor when the first has gone before this gateway is done: the next one must know, too, what is
// left here.
func (g *Gateway) seek(ctx context.Context) {
	for ctx.Err() == nil {
		sleep(ctx, seekPause)
		asking, cancel := context.WithTimeout(ctx, handoverPatience)
		conn, err := ask(asking, g.cfg.Paths.GatewaySocket(), pathPredecessor)
		cancel()
		if err != nil {
			g.log.Debug("find the next gateway", "err", err)
			continue
		}
		s := newSuccessor(g, conn)
		g.fleet.govern(s)
		_ = s.run(ctx) // the next one may be gone as well
		conn.Close()
		g.fleet.govern(nil)
	}
}

// govern makes a successor the one that lends the instances of functions with a limit, if there is one.
func (f *fleet) govern(by *successor) {
	f.mu.Lock()
	f.governor = by
	f.mu.Unlock()
	for _, p := range f.all() {
		p.govern(by)
	}
}

func (f *fleet) granted(id platform.InstanceID) {
	f.mu.Lock()
	p := f.pools[id.Revision]
	f.mu.Unlock()
	if p != nil {
		p.granted(id.Index)
	}
}
