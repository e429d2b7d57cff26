package gateway

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/platform"
)

const (
	// reportPause is how often a predecessor looks what it has left, and notifyPause how soon it tells that an instance is
	// free for which a request may wait.
	reportPause = 50 * time.Millisecond
	notifyPause = time.Millisecond
)

// successorLink is the connection to the gateway that takes, or has taken, the place of this one: it is sent what is left here.
type successorLink struct {
	succession *succession
	conn       *net.UnixConn
	notified   chan struct{}
	sent       map[platform.RevisionID]load

	mu       sync.Mutex
	acked    uint64 // the last departure that was seen
	resigned bool
}

func newSuccessorLink(s *succession, conn *net.UnixConn) *successorLink {
	return &successorLink{succession: s, conn: conn, notified: make(chan struct{}, 1), sent: make(map[platform.RevisionID]load)}
}

// notify implements lender.
func (l *successorLink) notify() {
	select {
	case l.notified <- struct{}{}:
	default:
	}
}

// offer sends the sockets.
func (l *successorLink) offer() error {
	_ = l.conn.SetDeadline(time.Now().Add(handoverTimeout))
	cfg := l.succession.cfg
	var first [1]byte
	if _, err := l.conn.Read(first[:]); err != nil {
		return err
	}
	tls, redirecting := cfg.Secure, cfg.Redirecting
	if first[0] != allSockets {
		tls, redirecting = nil, nil
	}
	if err := netio.SendFiles(l.conn, slices.Concat(cfg.Listeners, tls, redirecting, cfg.Status)); err != nil {
		return err
	}
	m := fromPredecessor{Offer: &offer{HTTP: len(cfg.Listeners), Secure: len(tls), Redirecting: len(redirecting), Status: len(cfg.Status)}}
	if err := json.NewEncoder(l.conn).Encode(m); err != nil {
		return err
	}
	return l.conn.SetDeadline(time.Time{})
}

// run sends what is left here and handles what comes, until one of the two gateways ends.
func (l *successorLink) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var reporting sync.WaitGroup
	defer reporting.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	reporting.Go(func() { l.report(ctx) })
	for in := json.NewDecoder(l.conn); ; {
		var m fromSuccessor
		if err := in.Decode(&m); err != nil {
			return err
		}
		l.handle(&m)
	}
}

func (l *successorLink) handle(m *fromSuccessor) {
	if m.Dismiss {
		l.resign()
	}
	fleet := l.succession.fleet
	for _, d := range m.Gone {
		if id, err := d.id(); err == nil {
			fleet.vanish(id)
		}
		l.ack(d.Number)
	}
	for _, s := range m.Slots {
		if id, err := s.id(); err == nil {
			fleet.useSlot(id)
		}
	}
	if len(m.Gone)+len(m.Slots) > 0 {
		l.notify()
	}
	if m.Release {
		l.succession.release()
	}
	if m.CloseIdle {
		l.succession.closeIdle()
	}
}

// resign has this gateway accept nothing more. The report with which the successor gets to know that is made after this gateway
// lends nothing by itself any more.
func (l *successorLink) resign() {
	if l.succession.isDismissed() {
		return
	}
	l.succession.dismiss(l)
	l.mu.Lock()
	l.resigned = true
	l.mu.Unlock()
	l.notify()
}

func (l *successorLink) ack(number uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked = number
}

// report sends what is left here whenever it changes, until the context ends.
func (l *successorLink) report(ctx context.Context) {
	out := json.NewEncoder(l.conn)
	timer := time.NewTicker(reportPause)
	defer timer.Stop()
	var before fromPredecessor
	for ctx.Err() == nil {
		m := l.delta(before)
		before.Acked, before.Resigned = max(before.Acked, m.Acked), before.Resigned || m.Resigned
		if len(m.Loads) > 0 || m.Acked > 0 || m.Resigned {
			_ = l.conn.SetWriteDeadline(time.Now().Add(handoverTimeout))
			if out.Encode(m) != nil {
				l.conn.Close()
				return
			}
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.notified:
			platform.Sleep(ctx, notifyPause)
		}
	}
}

// delta is what was not sent before. What was acked, and whether this gateway has resigned, is older than the loads.
func (l *successorLink) delta(before fromPredecessor) (m fromPredecessor) {
	l.mu.Lock()
	if l.acked > before.Acked {
		m.Acked = l.acked
	}
	m.Resigned = l.resigned && !before.Resigned
	l.mu.Unlock()
	if m.Resigned {
		m.Rates = l.succession.fleet.rates()
	}
	m.Loads = l.changedLoads()
	return m
}

// changedLoads are the loads that are others than those that were sent.
func (l *successorLink) changedLoads() []load {
	var changed []load
	now := l.succession.fleet.loads()
	for id, load := range now {
		if !load.equals(l.sent[id]) {
			changed = append(changed, load)
		}
	}
	for id, before := range l.sent {
		if _, there := now[id]; !there && !before.isEmpty() {
			changed = append(changed, load{Revision: before.Revision, Granted: before.Granted})
		}
	}
	l.sent = now
	return changed
}
