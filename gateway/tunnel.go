package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// closeTimeout is how long a tunnel that is ended waits for its protocol to do so.
const closeTimeout = 2 * time.Second

// tunnel is a connection that has left HTTP for another protocol: bytes go both ways, until one side or the time ends it, or another
// gateway goes on with it.
type tunnel struct {
	exchange    *exchange
	request     *request
	lease       *lease
	client      *rawClient
	instance    *instanceConn
	frames      *wire.Frames // of what goes to the client; nil if it is no WebSocket
	idleTimeout time.Duration
	active      atomic.Int64 // when something passed last, in nanoseconds
	sent        int64        // bytes to the client

	unsentDown, unsentUp []byte // read, and to be written before anything else, to the client and to the instance

	mu     sync.Mutex
	course course
	parked chan *movedTunnel // what is to be handed over; nil: nothing is
	taken  chan bool         // the answer to that
}

// course is where a tunnel is in its life.
type course int

const (
	running course = iota
	parking        // both directions stop where they are, so that another gateway can go on
	ending
)

// newTunnel makes the tunnel of an exchange.
func newTunnel(x *exchange, client *rawClient, instance *instanceConn) *tunnel {
	t := &tunnel{
		exchange: x, request: &x.request, lease: x.lease, client: client, instance: instance, idleTimeout: x.share.idle,
		parked: make(chan *movedTunnel, 1), taken: make(chan bool, 1),
	}
	t.markActive()
	return t
}

// run passes on what both sides send. The error says why the tunnel broke off; it is nil if one of the sides has ended it, and
// errHandedOver if it goes on elsewhere.
func (t *tunnel) run() error {
	t.start()
	if !t.client.stays {
		tunnels := &t.exchange.proxy.tunnels
		tunnels.add(t)
		defer tunnels.remove(t)
	}
	for {
		up := make(chan struct{})
		var failed error
		go func() {
			defer close(up)
			failed = t.toInstance()
		}()
		err := t.toClient()
		if !t.isParkedOrEnds() {
			return t.end(err, up)
		}
		<-up
		if t.handOver(err, failed) {
			return errHandedOver
		}
		if err != nil && !errors.Is(err, errParked) {
			return t.end(err, up)
		}
		t.start() // if it has ended, that comes again
	}
}

// end ends a tunnel whose instance has, or whose time is over.
func (t *tunnel) end(err error, up <-chan struct{}) error {
	if t.isOver(err) && t.frames != nil && t.frames.Between() {
		err = t.closeWebSocket()
	}
	if err == nil {
		t.awaitClient(up)
	}
	t.request.client.interruptRead()
	t.instance.interrupt()
	<-up
	if cause := t.request.interruption(); cause != nil && !errors.Is(cause, errClientGone) {
		return cause
	}
	return err // either side may end it
}

// awaitClient tells the client that nothing more comes, and gives it a moment to do the same.
func (t *tunnel) awaitClient(up <-chan struct{}) {
	half, ok := t.client.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-up:
	case <-timeout.C:
	}
}

// isOver reports whether it is the gateway that ends the tunnel.
func (t *tunnel) isOver(err error) bool {
	return t.request.wasConcluded() || errors.Is(err, errTimeout) || errors.Is(err, errSilent)
}

func (t *tunnel) markActive() { t.active.Store(time.Now().UnixNano()) }

// deadline is when a direction has waited for too long. What passes in the other one counts, too.
func (t *tunnel) deadline() time.Time {
	end := t.request.end
	if t.idleTimeout <= 0 {
		return end
	}
	if own := time.Unix(0, t.active.Load()).Add(t.idleTimeout); own.Before(end) {
		return own
	}
	return end
}

// toClient passes on what the instance sends. A nil error is the end of it.
func (t *tunnel) toClient() error {
	if rest := t.instance.reader.Buffered(); len(rest) > 0 {
		t.unsentDown = append(t.unsentDown, t.came(rest)...)
		t.instance.reader.Discard(len(rest))
	}
	if err := t.writeDown(t.unsentDown); err != nil {
		return t.endOf(err)
	}
	in := netio.NewIdleReader(t.request.buffers, t.instance.raw, netio.BufferRoom)
	for {
		t.limitReadFromInstance()
		read, err := in.Read()
		switch {
		case err == nil:
			t.instance.read.Add(int64(len(read)))
			err = t.writeDown(t.came(read))
			in.Give()
		case t.isParkedBy(err):
			err = errParked
		case t.mayGoOn(err):
			continue
		}
		if err != nil {
			return t.endOf(err)
		}
	}
}

// came notes what the instance has sent.
func (t *tunnel) came(p []byte) []byte {
	t.markActive()
	if t.frames != nil {
		t.frames.Pass(p)
	}
	t.sent += int64(len(p))
	return p
}

// mayGoOn reports whether a wait ended too early, because the other direction was active meanwhile.
func (t *tunnel) mayGoOn(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && !t.request.wasConcluded() && t.request.interruption() == nil && time.Now().Before(t.deadline())
}

// endOf returns what an error of reading from the instance means for the tunnel; nil: the end of it.
func (t *tunnel) endOf(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && t.request.wasConcluded():
		return nil
	}
	return t.request.causeOf(err, errSilent)
}

func (t *tunnel) writeDown(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	n, err := t.client.Conn.Write(p)
	switch {
	case err == nil:
		t.unsentDown = nil
		return nil
	case t.isParkedBy(err):
		t.unsentDown = bytes.Clone(p[n:])
		return errParked
	}
	return errClientGone
}

func (t *tunnel) writeUp(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	n, err := t.instance.write(p)
	switch {
	case err == nil:
		t.unsentUp = nil
	case t.isParkedBy(err):
		t.unsentUp = bytes.Clone(p[n:])
		return errParked
	}
	return err
}

// toInstance passes on what the client sends, and then that it has no more to say.
func (t *tunnel) toInstance() error {
	if rest := t.client.reader.Buffered(); len(rest) > 0 {
		t.unsentUp = append(t.unsentUp, rest...)
		t.client.reader.Discard(len(rest))
	}
	err := t.writeUp(t.unsentUp)
	in := t.client.idle.Like(netio.BufferRoom)
	for err == nil {
		t.limitReadFromClient()
		var read []byte
		if read, err = in.Read(); err != nil {
			return t.endOfClient(err)
		}
		t.markActive()
		t.request.received.Add(int64(len(read)))
		err = t.writeUp(read)
		in.Give()
	}
	return err // an instance that takes nothing may send something still, or its end
}

// endOfClient passes on that the client has no more to say, or ends the tunnel if it has gone.
func (t *tunnel) endOfClient(err error) error {
	switch {
	case t.isParkedBy(err):
		return errParked
	case errors.Is(err, io.EOF):
		if half, ok := t.instance.Conn.(interface{ CloseWrite() error }); ok {
			return half.CloseWrite()
		}
	case !errors.Is(err, os.ErrDeadlineExceeded):
		t.request.interrupt(errClientGone)
	}
	t.instance.interruptRead()
	return err
}

// closeWebSocket tells the client of a WebSocket that the connection goes away (RFC 6455, section 7.4.1), and lets its answer
// reach the app, for which that is the closing handshake.
func (t *tunnel) closeWebSocket() error {
	const goingAway = "\x88\x02\x03\xe9"
	_ = t.client.SetWriteDeadline(time.Now().Add(closeTimeout))
	if _, err := t.client.Conn.Write([]byte(goingAway)); err != nil {
		return errClientGone
	}
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	_ = t.instance.SetReadDeadline(time.Now().Add(closeTimeout))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, t.instance.Conn) // its own closing frame ends it
	}()
	select {
	case <-gone:
	case <-timeout.C:
	}
	t.instance.interruptRead()
	<-gone
	return nil
}

// park has both directions stop where they are. What is to be handed over comes over parked then, and an answer must follow if that
// is not nil. It reports false if the tunnel is ending.
func (t *tunnel) park() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.course != running {
		return false
	}
	t.course = parking
	_ = t.client.Conn.SetDeadline(netio.Past) // a closed connection fails at once
	_ = t.instance.Conn.SetDeadline(netio.Past)
	return true
}

// isParkedOrEnds reports whether the tunnel is to be parked. If not, it is not any more.
func (t *tunnel) isParkedOrEnds() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.course == parking {
		return true
	}
	t.course = ending
	return false
}

// isParkedBy reports whether an error is the way in which a direction is stopped.
func (t *tunnel) isParkedBy(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.course == parking && errors.Is(err, os.ErrDeadlineExceeded)
}

// handOver offers the tunnel to another gateway, if nothing but parking has stopped its directions, and reports whether that has
// taken it.
func (t *tunnel) handOver(down, up error) (taken bool) {
	if !errors.Is(down, errParked) || up != nil && !errors.Is(up, errParked) || t.request.wasConcluded() || t.request.interruption() != nil {
		t.parked <- nil
		return false
	}
	t.parked <- newMovedTunnel(t)
	if taken = <-t.taken; taken {
		t.letGo()
	}
	return taken
}

// letGo closes what this gateway has of the connections, which go on in another one: nothing may shut them down.
func (t *tunnel) letGo() {
	t.client.Close()
	t.instance.Close()
}

// start lets both directions run, at first or after they were parked, unless the tunnel was interrupted meanwhile.
func (t *tunnel) start() {
	t.mu.Lock()
	end := t.request.clientDeadline()
	_ = t.client.SetWriteDeadline(end)
	_ = t.instance.SetWriteDeadline(end)
	t.course = running
	t.mu.Unlock()
	if t.request.interruption() != nil {
		t.instance.interrupt()
		t.request.client.interruptWrite()
	}
}

func (t *tunnel) limitReadFromInstance() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.course != parking {
		_ = t.instance.setReadDeadline(t.deadline()) // a closed connection fails at once
	}
}

func (t *tunnel) limitReadFromClient() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.course != parking {
		t.request.client.setReadDeadline(t.request.clientDeadline().Add(closeTimeout))
	}
}
