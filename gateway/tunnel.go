package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

// closeTimeout is how long a tunnel that is ended waits for its protocol to do so.
const closeTimeout = 2 * time.Second

// tunnel is a connection that has left HTTP for another protocol: bytes go both ways, until one side or the time ends it.
type tunnel struct {
	request     *request
	client      *rawClient
	instance    *instanceConn
	frames      *wire.Frames // of what goes to the client; nil if it is no WebSocket
	idleTimeout time.Duration
	active      atomic.Int64 // when something passed last, in nanoseconds
	sent        int64        // bytes to the client
}

// run passes on what both sides send. The error says why the tunnel broke off; it is nil if one of the sides has ended it.
func (t *tunnel) run() error {
	t.markActive()
	_ = t.instance.SetWriteDeadline(t.request.clientDeadline())
	up := make(chan struct{})
	go func() {
		defer close(up)
		_ = t.toInstance() // which of the two ends it makes no difference
	}()
	err := t.toClient()
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
		if err := t.pass(rest); err != nil {
			return err
		}
		t.instance.reader.Discard(len(rest))
	}
	in := netio.NewIdleReader(t.request.buffers, t.instance.raw, netio.BufferRoom)
	for {
		_ = t.instance.setReadDeadline(t.deadline()) // a closed connection fails at once
		came, err := in.Read()
		if err == nil {
			t.instance.read.Add(int64(len(came)))
			err = t.pass(came)
			in.Give()
		} else if t.mayGoOn(err) {
			continue
		}
		if err != nil {
			return t.endOf(err)
		}
	}
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

func (t *tunnel) pass(p []byte) error {
	t.markActive()
	if t.frames != nil {
		t.frames.Pass(p)
	}
	t.sent += int64(len(p))
	_ = t.client.SetWriteDeadline(t.request.clientDeadline())
	if _, err := t.client.Conn.Write(p); err != nil {
		return errClientGone
	}
	return nil
}

// toInstance passes on what the client sends, and then that it has no more to say.
func (t *tunnel) toInstance() error {
	if rest := t.client.reader.Buffered(); len(rest) > 0 {
		if err := t.instance.send(rest); err != nil {
			return err
		}
		t.client.reader.Discard(len(rest))
	}
	in := netio.NewIdleReader(t.request.buffers, t.client.idle.Raw(), netio.BufferRoom)
	for {
		t.request.client.setReadDeadline(t.request.clientDeadline().Add(closeTimeout))
		came, err := in.Read()
		if err != nil {
			return t.endOfClient(err)
		}
		t.markActive()
		t.request.received.Add(int64(len(came)))
		err = t.instance.send(came)
		in.Give()
		if err != nil {
			return err // it may send something still, or its end
		}
	}
}

// endOfClient passes on that the client has no more to say, or ends the tunnel if it has gone.
func (t *tunnel) endOfClient(err error) error {
	switch {
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
