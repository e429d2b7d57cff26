package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// predecessorLink is the connection to a gateway that finishes what it has, and sends what that is.
type predecessorLink struct {
	fleet    *fleet
	conn     net.Conn
	in       *json.Decoder
	resigned chan struct{}
	ended    chan struct{}
	changed  chan struct{} // there is something to send

	mu     sync.Mutex
	out    fromSuccessor
	number uint64 // of the last departure
	closed bool
}

// listenTo takes over from a predecessor what it has left, until one of the two gateways ends.
func listenTo(conn net.Conn, in *json.Decoder, f *fleet) *predecessorLink {
	p := &predecessorLink{
		fleet: f, conn: conn, in: in,
		resigned: make(chan struct{}), ended: make(chan struct{}), changed: make(chan struct{}, 1),
	}
	f.predecessors().add(p)
	f.env.group.Go(p.run)
	return p
}

func (p *predecessorLink) run(ctx context.Context) {
	defer close(p.ended)
	defer p.conn.Close()
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer stop()
	var writing sync.WaitGroup
	writing.Go(p.write)
	defer writing.Wait()
	p.read()
	p.close()
}

// read handles what comes, until the end.
func (p *predecessorLink) read() {
	for {
		var m fromPredecessor
		if p.in.Decode(&m) != nil {
			return
		}
		p.handle(&m)
	}
}

func (p *predecessorLink) handle(m *fromPredecessor) {
	for _, l := range m.Loads {
		if id, err := platform.ParseRevisionID(l.Revision); err == nil {
			p.fleet.updatePredecessor(p, id, l)
		}
	}
	if m.Acked > 0 {
		p.fleet.ackDepartures(p, m.Acked)
	}
	p.fleet.adoptRates(m.Rates)
	if m.Resigned {
		close(p.resigned)
	}
}

// close forgets all that is left there.
func (p *predecessorLink) close() {
	p.mu.Lock()
	p.closed = true
	close(p.changed)
	p.mu.Unlock()
	p.fleet.dropPredecessor(p)
}

// write sends what there is to send, until the end.
func (p *predecessorLink) write() {
	out := json.NewEncoder(p.conn)
	for range p.changed {
		_ = p.conn.SetWriteDeadline(time.Now().Add(handoverTimeout))
		if out.Encode(p.takeOut()) != nil {
			p.conn.Close()
		}
	}
}

func (p *predecessorLink) takeOut() fromSuccessor {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.out
	p.out = fromSuccessor{}
	return m
}

// send adds to what there is to send. It does not wait. It reports false if the predecessor has ended.
func (p *predecessorLink) send(add func(*fromSuccessor)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	add(&p.out)
	select {
	case p.changed <- struct{}{}:
	default: // it goes with what is there already
	}
	return true
}

// departed implements predecessor.
func (p *predecessorLink) departed(id platform.InstanceID) (number uint64, ok bool) {
	ok = p.send(func(m *fromSuccessor) {
		p.number++
		number = p.number
		m.Gone = append(m.Gone, departure{slot: newSlot(id), Number: number})
	})
	return number, ok
}

// lend implements predecessor.
func (p *predecessorLink) lend(id platform.InstanceID) {
	p.send(func(m *fromSuccessor) { m.Slots = append(m.Slots, newSlot(id)) })
}

// closeIdle implements predecessor.
func (p *predecessorLink) closeIdle() { p.send(func(m *fromSuccessor) { m.CloseIdle = true }) }

// done implements predecessor.
func (p *predecessorLink) done() <-chan struct{} { return p.ended }

// release lets the predecessor end when it is done.
func (p *predecessorLink) release() { p.send(func(m *fromSuccessor) { m.Release = true }) }

// takeOver has the predecessor accept nothing more, now that this gateway knows all routes and instances.
func (p *predecessorLink) takeOver(ctx context.Context) error {
	p.send(func(m *fromSuccessor) { m.Dismiss = true })
	timeout := time.NewTimer(handoverTimeout)
	defer timeout.Stop()
	select {
	case <-p.resigned:
		return nil
	case <-p.ended:
		return errors.New("take over: the gateway that ran has ended")
	case <-timeout.C:
		return errors.New("take over: the gateway that runs doesn't answer")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
