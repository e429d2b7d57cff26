package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/platform"
)

// seekPause is the time between two tries to find another successor.
const seekPause = 100 * time.Millisecond

// succession is how a gateway ends whose place another one takes.
type succession struct {
	cfg     *Config
	group   *group
	fleet   *fleet
	clients *clients

	mu        sync.Mutex    // of what is closed once
	busy      atomic.Bool   // another gateway is about to take the place of this one, or has
	dismissed chan struct{} // another one accepts from now on
	released  chan struct{} // this one may end
	hurried   chan struct{} // this one has to end soon
}

func newSuccession(cfg *Config, group *group, fleet *fleet, clients *clients) *succession {
	return &succession{
		cfg: cfg, group: group, fleet: fleet, clients: clients,
		dismissed: make(chan struct{}), released: make(chan struct{}), hurried: make(chan struct{}),
	}
}

func (s *succession) isDismissed() bool {
	select {
	case <-s.dismissed:
		return true
	default:
		return false
	}
}

type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// serveHandover gives the sockets to a process that is about to take this one's place.
func (s *succession) serveHandover(w http.ResponseWriter, r *http.Request) {
	if !s.busy.CompareAndSwap(false, true) {
		http.Error(w, "another gateway takes over already", http.StatusConflict)
		return
	}
	conn, err := acceptUpgrade(w, r)
	if err != nil {
		s.busy.Store(false)
		s.cfg.Logger.Warn("hand over", "err", err)
		return
	}
	s.group.Go(func(ctx context.Context) { s.handOver(ctx, conn) })
}

// servePredecessor listens to a gateway that has lost its successor.
func (s *succession) servePredecessor(w http.ResponseWriter, r *http.Request) {
	conn, err := acceptUpgrade(w, r)
	if err != nil {
		s.cfg.Logger.Warn("listen to a gateway before this one", "err", err)
		return
	}
	listenTo(conn, json.NewDecoder(conn), s.fleet)
}

// acceptUpgrade upgrades the connection of a process that may have the sockets: one of the same user, or root's. The status socket
// is open to more than these.
func acceptUpgrade(w http.ResponseWriter, r *http.Request) (*net.UnixConn, error) {
	conn, ok := r.Context().Value(connKey{}).(*net.UnixConn)
	if !ok {
		http.Error(w, "only over the unix socket", http.StatusForbidden)
		return nil, errors.New("it was asked over the network")
	}
	uid, err := netio.PeerUser(conn)
	if err != nil || uid != 0 && int(uid) != os.Getuid() {
		http.Error(w, "only for the user of the gateway", http.StatusForbidden)
		return nil, errors.Join(errors.New("another user has asked"), err)
	}
	if _, _, err := http.NewResponseController(w).Hijack(); err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(handoverTimeout))
	const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + handoverName + "\r\n\r\n"
	if _, err := conn.Write([]byte(switching)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

// handOver lets a process take the place of this one. If nothing comes of it, this one goes on.
func (s *succession) handOver(ctx context.Context, conn *net.UnixConn) {
	next := newSuccessorLink(s, conn)
	err := next.offer()
	if err == nil {
		err = next.run(ctx)
	}
	conn.Close()
	if !s.isDismissed() {
		s.cfg.Logger.Warn("no other gateway has taken over: this one goes on", "err", err)
		s.busy.Store(false)
		return
	}
	s.release()
	s.fleet.setLender(nil)
	s.seek(ctx)
}

// dismiss has this gateway accept nothing more, and lend nothing by itself.
func (s *succession) dismiss(by lender) {
	s.clients.keepIdle()
	s.fleet.setLender(by)
	close(s.dismissed)
}

// release lets this gateway end when it is done.
func (s *succession) release() { s.once(s.released) }

// hurry lets a gateway that was dismissed take no longer than one that is stopped.
func (s *succession) hurry() { s.once(s.hurried) }

// once closes a channel that may be closed.
func (s *succession) once(done chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-done:
	default:
		close(done)
	}
}

// closeIdle closes the connections of clients that are idle, here and in the gateways before this one, as the successor has to end.
func (s *succession) closeIdle() {
	s.clients.closeIdleNow()
	s.fleet.predecessors().closeIdle()
	if s.isDismissed() {
		s.hurry()
	}
}

// seek finds another successor when the first has gone before this gateway is done: the next one must know, too, what is
// left here.
func (s *succession) seek(ctx context.Context) {
	for ; ctx.Err() == nil; platform.Sleep(ctx, seekPause) {
		asking, cancel := context.WithTimeout(ctx, handoverTimeout)
		conn, err := dialGateway(asking, s.cfg.Paths.GatewaySocket(), pathPredecessor)
		cancel()
		if err != nil {
			s.cfg.Logger.Debug("find the next gateway", "err", err)
			continue
		}
		next := newSuccessorLink(s, conn)
		s.fleet.setLender(next)
		_ = next.run(ctx) // the next one may be gone as well
		conn.Close()
		s.fleet.setLender(nil)
	}
}
