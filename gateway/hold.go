package gateway

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// maxHeld is the longest content that is read before an instance is lent.
	maxHeld = 256 << 10
	// firstRoom is the memory for content of which nothing has come yet.
	firstRoom = 1 << 10
	// keptRoom is the memory for content that is kept for the next request.
	keptRoom = 16 << 10
)

// hold reads the content of the request if its length is known and not large, before an instance is lent: a slow client takes up
// none, keeps none awake, and starts none before there is something to do. If there is no memory, the content goes to the
// instance as it comes. hold returns when the request counts as begun.
func (x *exchange) hold() (time.Time, error) {
	if x.isTooLarge() {
		return x.began, nil // forward refuses it
	}
	x.held, x.whole = x.client.takeContent(x.held)
	if x.whole {
		x.received.Add(int64(len(x.held)))
	}
	length := x.req.ContentLength
	if x.whole || length < 0 || length > maxHeld || x.req.ExpectContinue {
		return x.began, nil
	}
	if head := x.size(); x.pool.env.held.takeOfHalf(head) {
		x.heldHead = head
	} else {
		return x.began, nil
	}
	x.req.Detach() // its head is where the connection reads
	chosen := x.pool
	chosen.pin(1)
	defer chosen.pin(-1)
	err := x.readHeld()
	to, refused := x.proxy.fleet.find(x.host, x.path) // it may lead elsewhere by now
	switch {
	case refused == nil:
		x.aim(to)
	case err == nil:
		err = refused
	}
	return time.Now(), err
}

func (x *exchange) isTooLarge() bool { return x.maxContent > 0 && x.req.ContentLength > x.maxContent }

// readHeld reads content until all is there, or there is no memory for more.
func (x *exchange) readHeld() error {
	x.client.setReadDeadline(x.end)
	defer x.detach()
	if !x.attach(contentWait{x.client}) {
		return x.interruption()
	}
	for int64(len(x.held)) < x.heldRoom || x.growHeld() {
		n, err := x.readContent(x.held[len(x.held):x.heldRoom])
		x.held = x.held[:len(x.held)+n]
		switch {
		case errors.Is(err, io.EOF):
			x.whole = true
			return nil
		case errors.Is(err, errTimeout):
			return errLateContent
		case err != nil:
			return err
		}
	}
	return nil
}

// growHeld makes room for more content, with what has come already as the measure. There is always room for a byte more than
// there can be, so that the end is read, too.
func (x *exchange) growHeld() bool {
	room := min(max(firstRoom, 4*x.heldRoom), x.req.ContentLength+1)
	if !x.pool.env.held.takeOfHalf(room - x.heldRoom) {
		return false
	}
	x.heldRoom = room
	if int64(cap(x.held)) < room {
		x.held = append(make([]byte, 0, max(room, 1<<10)), x.held...)
	}
	return true
}

// dropHeld gives the memory back, but for what the next request may need.
func (x *exchange) dropHeld() {
	if all := x.heldRoom + x.heldHead; all > 0 {
		x.pool.env.held.give(all)
	}
	x.http1.rest, x.heldRoom, x.heldHead = nil, 0, 0
	if x.held = x.held[:0]; cap(x.held) > keptRoom {
		x.held = nil
	}
}

// spool has the content of a response that is read ahead of its client.
type spool struct {
	buf    []byte // the content behind wire.ChunkRoom
	filled atomic.Int64
	more   chan struct{} // has something if filled has grown; closed when it grows no more
	pool   *sync.Pool
}

// spoolSizes are the largest contents of the buffers of each of the spoolPools.
var (
	spoolSizes = [...]int64{64 << 10, maxHeld}
	spoolPools [len(spoolSizes)]sync.Pool
)

// newSpool is nil if there is no memory for content of a length.
func (x *exchange) newSpool(length int64) *spool {
	class := 0
	for spoolSizes[class] < length {
		class++
	}
	if !x.pool.env.held.takeOfHalf(spoolSizes[class]) {
		return nil
	}
	s, _ := spoolPools[class].Get().(*spool)
	if s == nil {
		s = &spool{buf: make([]byte, wire.ChunkRoom+spoolSizes[class]+2), pool: &spoolPools[class]}
	}
	s.filled.Store(0)
	s.more = make(chan struct{}, 1)
	return s
}

func (x *exchange) freeSpool(s *spool) {
	x.pool.env.held.give(int64(len(s.buf)) - wire.ChunkRoom - 2)
	s.pool.Put(s)
}

// grow notes that n bytes more are there.
func (s *spool) grow(n int) {
	s.filled.Add(int64(n))
	select {
	case s.more <- struct{}{}:
	default: // what waits has not seen the last ones yet
	}
}

// copyAhead sends the content of a response of a known length, and gives the instance back when all of it is here, however slow
// the client is.
func (x *exchange) copyAhead(a attempt, s *spool) error {
	written := make(chan error, 1)
	go func() { written <- x.writeFrom(s) }()
	trailer, err := x.readInto(s, a)
	if err != nil || !a.uploading() {
		x.leave(a, err == nil)
	}
	close(s.more)
	x.sent = s.filled.Load()
	switch wrote := <-written; {
	case err != nil:
		return err
	case wrote != nil:
		return wrote
	}
	return x.finishResponse(trailer)
}

// readInto reads all content of a response.
func (x *exchange) readInto(s *spool, a attempt) (trailer []wire.Field, err error) {
	for {
		n, err := a.read(s.buf[wire.ChunkRoom+s.filled.Load():], x.deadline(x.share.idle))
		if n > 0 {
			s.grow(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			return a.trailer(), nil
		case err != nil:
			return nil, x.causeOf(err, errSilent)
		}
	}
}

// writeFrom writes to the client what is read, until no more is. A client that takes nothing ends the reading.
func (x *exchange) writeFrom(s *spool) error {
	sent := 0
	if x.head.length > promptContent && s.filled.Load() == 0 && x.client.flush() != nil { // its head does not wait for it
		x.interrupt(errClientGone)
		return errClientGone
	}
	for open := true; open; {
		_, open = <-s.more
		if n := int(s.filled.Load()); n > sent {
			if x.client.write(s.buf[sent:], n-sent) != nil || x.client.flush() != nil {
				x.interrupt(errClientGone)
				return errClientGone
			}
			sent = n
		}
	}
	return nil
}

// contentWait is what waits for a client before there is an attempt.
type contentWait struct{ client client }

func (w contentWait) interrupt()     { w.client.cutRead() }
func (w contentWait) interruptRead() {}
