package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// farewell is how long a tunnel that is ended waits for its protocol to do so.
const farewell = 2 * time.Second

// tunnel is a connection that has left HTTP for another protocol: bytes go both ways, until one side or the time ends it.
type tunnel struct {
	exchange *exchange
	client   *clientConn
	instance *conn
	frames   *frames      // of what goes to the client; nil if it is no WebSocket
	active   atomic.Int64 // when something passed last, in nanoseconds
}

// tunnel answers a request that became a tunnel, and serves that.
func (x *exchange) tunnel(a attempt) error {
	over, is1 := a.(*http1Attempt)
	client, was1 := x.client.(*clientConn)
	if !is1 || !was1 || !x.upgrade || client.patient == nil || over.conn.raw == nil {
		return errUnasked
	}
	t := &tunnel{exchange: x, client: client, instance: over.conn}
	if strings.EqualFold(values(x.res.Fields, "upgrade"), "websocket") {
		t.frames = new(frames)
	}
	client.closing = true
	client.enter(tunneling)
	x.respond(answer{status: x.code, reason: x.res.Reason, fields: x.res.Fields, framing: wire.None(), length: -1})
	if client.flush() != nil {
		return errClientGone
	}
	defer x.lease.stream(x)()
	return t.run()
}

func (t *tunnel) run() error {
	t.touch()
	_ = t.instance.SetWriteDeadline(t.exchange.until())
	up := make(chan struct{})
	go func() {
		defer close(up)
		_ = t.toInstance() // which of the two ends it makes no difference
	}()
	err := t.toClient()
	if t.isOver(err) && t.frames != nil && t.frames.between() {
		err = t.sayGoodbye()
	}
	if err == nil {
		t.awaitClient(up)
	}
	t.client.interruptRead()
	t.instance.interrupt()
	<-up
	return t.exchange.ended(err)
}

// awaitClient tells the client that nothing more comes, and leaves it a moment to do the same.
func (t *tunnel) awaitClient(up <-chan struct{}) {
	half, ok := t.client.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	select {
	case <-up:
	case <-patience.C:
	}
}

// ended says how a tunnel ended: either side may end it, and so may we.
func (x *exchange) ended(err error) error {
	if cause := x.interruption(); cause != nil && !errors.Is(cause, errClientGone) {
		return cause
	}
	return err
}

func (t *tunnel) isOver(err error) bool {
	return t.exchange.wasConcluded() || errors.Is(err, errTimeout) || errors.Is(err, errSilent)
}

func (t *tunnel) touch() { t.active.Store(time.Now().UnixNano()) }

// deadline is when one of the two directions has waited for too long: the other one counts, too.
func (t *tunnel) deadline() time.Time {
	x := t.exchange
	if x.share.idle <= 0 {
		return x.end
	}
	own := time.Unix(0, t.active.Load()).Add(x.share.idle)
	if own.Before(x.end) {
		return own
	}
	return x.end
}

// toClient passes on what the instance sends. A nil error is the end of it.
func (t *tunnel) toClient() error {
	if rest := t.instance.reader.Buffered(); len(rest) > 0 {
		if err := t.pass(rest); err != nil {
			return err
		}
		t.instance.reader.Discard(len(rest))
	}
	in := newPatient(t.exchange.gateway.buffers, t.instance.raw, bufferRoom)
	for {
		_ = t.instance.setReadDeadline(t.deadline()) // a closed connection fails at once
		came, err := in.read()
		if err == nil {
			err = t.pass(came)
			in.give()
		} else if t.mayGoOn(err) {
			continue
		}
		if err != nil {
			return t.endOf(err)
		}
	}
}

// mayGoOn says whether a wait ended too early, because the other direction was active meanwhile.
func (t *tunnel) mayGoOn(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && !t.exchange.wasConcluded() && t.exchange.interruption() == nil && time.Now().Before(t.deadline())
}

func (t *tunnel) endOf(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded) && t.exchange.wasConcluded():
		return nil
	}
	return t.exchange.explain(err, errSilent)
}

func (t *tunnel) pass(p []byte) error {
	t.touch()
	if t.frames != nil {
		t.frames.pass(p)
	}
	t.exchange.sent += int64(len(p))
	_ = t.client.SetWriteDeadline(t.exchange.until())
	if _, err := t.client.Conn.Write(p); err != nil {
		return errClientGone
	}
	return nil
}

// toInstance passes on what the client sends, and then that it has no more to say.
func (t *tunnel) toInstance() error {
	if rest := t.client.reader.Buffered(); len(rest) > 0 {
		if _, err := t.instance.Write(rest); err != nil {
			return err
		}
		t.client.reader.Discard(len(rest))
	}
	in := newPatient(t.exchange.gateway.buffers, t.client.patient.raw, bufferRoom)
	for {
		t.client.setReadDeadline(t.exchange.until().Add(farewell))
		came, err := in.read()
		if err == nil {
			t.touch()
			t.exchange.receive(int64(len(came)))
			_, err = t.instance.Write(came)
			in.give()
		}
		if errors.Is(err, io.EOF) {
			if half, ok := t.instance.Conn.(interface{ CloseWrite() error }); ok {
				return half.CloseWrite()
			}
		}
		if err != nil {
			t.instance.interruptRead()
			return err
		}
	}
}

// sayGoodbye tells the client of a WebSocket that the connection goes away (RFC 6455, section 7.4.1), and lets its answer
// reach the app, for which that is the closing handshake.
func (t *tunnel) sayGoodbye() error {
	const goingAway = "\x88\x02\x03\xe9"
	_ = t.client.SetWriteDeadline(time.Now().Add(farewell))
	if _, err := t.client.Conn.Write([]byte(goingAway)); err != nil {
		return errClientGone
	}
	patience := time.NewTimer(farewell)
	defer patience.Stop()
	_ = t.instance.SetReadDeadline(time.Now().Add(farewell))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, t.instance.Conn) // its own closing frame ends it
	}()
	select {
	case <-gone:
	case <-patience.C:
	}
	t.instance.interruptRead()
	<-gone
	return nil
}
