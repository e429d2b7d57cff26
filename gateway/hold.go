package gateway

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// maxHeld is the longest content that is read before an instance is lent.
	maxHeld = 256 << 10
	// heldPause ends the holding of content whose length is not known: who sends nothing for so long may wait for an answer to what it
	// has sent. Nothing but the time tells such a client from a slow one, so that the least rate has to deal with those that pause.
	heldPause = 250 * time.Millisecond
	// heldTime does the same if content comes at the least rate, and without a pause, but does not end.
	heldTime = 5 * time.Second
	// firstRoom is the memory for content of which nothing has come yet.
	firstRoom = 1 << 10
	// keptRoom is the memory for content that is kept for the next request.
	keptRoom = 16 << 10
)

// heldContent is content that was read before there was an attempt: each gets it.
type heldContent struct {
	held     []byte
	heldRoom int64 // what it takes of the memory for that
	heldHead int64 // what the head takes of it meanwhile
	whole    bool  // there is no other content
}

// hold reads the content of the request, if it is not large, before an instance is lent: a slow client takes up none, keeps none awake,
// and starts none before there is something to do. Of content whose length is not known, it reads what comes without a pause. If there
// is no memory, the content goes to the instance as it comes. hold returns when the request counts as begun.
func (x *exchange) hold() (time.Time, error) {
	if x.isTooLarge() {
		return x.began, nil // forward refuses it
	}
	x.held, x.whole = x.client.takeContent(x.held)
	if x.whole {
		x.received.Add(int64(len(x.held)))
		return x.began, nil
	}
	if isDuplex(x.req.Fields) {
		return x.began, nil
	}
	pace := x.proxy.newPace(x.received.Load, func() { x.interrupt(errSlowContent) })
	defer func() { x.pace = pace }()
	if x.req.ContentLength > maxHeld || x.req.ExpectContinue {
		return x.began, nil
	}
	if head := x.size(); x.pool.env.held.TakeOfHalf(head) {
		x.heldHead = head
	} else {
		return x.began, nil
	}
	if x.req.ContentLength < 0 {
		x.pace = pace // its time is not bounded by its length
	}
	x.req.Detach() // its head is where the connection reads
	chosen := x.pool
	chosen.counts.pin(1)
	defer chosen.counts.pin(-1)
	err := x.readHeld()
	to, refused := x.find() // it may lead elsewhere by now
	switch {
	case refused == nil:
		x.aim(to)
	case err == nil:
		err = refused
	}
	return time.Now(), err
}

// isDuplex reports whether a request is one of a protocol in which client and app may talk at once, and be silent for as long as they like.
func isDuplex(fields []wire.Field) bool {
	value, _ := find(fields, "content-type")
	kind := bytes.ToLower(value)
	return bytes.HasPrefix(kind, []byte("application/grpc")) || bytes.HasPrefix(kind, []byte("application/connect+"))
}

func (x *exchange) isTooLarge() bool { return x.maxContent > 0 && x.req.ContentLength > x.maxContent }

// readHeld reads content until all is there, or it is to be passed on.
func (x *exchange) readHeld() error {
	x.client.setReadDeadline(x.end)
	defer x.detach()
	if !x.attach(contentWait{x.client}) {
		return x.interruption()
	}
	for int64(len(x.held)) < x.heldRoom || x.growHeld() {
		isStream := x.mayStream()
		if isStream && x.isSteady() {
			return nil
		}
		n, err := x.readContent(x.held[len(x.held):x.heldRoom])
		x.held = x.held[:len(x.held)+n]
		switch {
		case errors.Is(err, io.EOF):
			x.whole = true
			return nil
		case isStream && errors.Is(err, errTimeout) && time.Now().Before(x.end):
			return nil
		case errors.Is(err, errTimeout):
			return errLateContent
		case err != nil:
			return err
		}
	}
	return nil
}

// mayStream reports whether the content may have no end for now, and has the next read end with a pause then. Only of such content is it
// asked whether it keeps up the least rate while it is held.
func (x *exchange) mayStream() bool {
	if x.req.ContentLength >= 0 {
		return false
	}
	pause := time.Now().Add(heldPause)
	if x.end.Before(pause) {
		pause = x.end
	}
	x.client.pauseReading(pause)
	return true
}

// isSteady reports whether content has come for long enough, at the least rate.
func (x *exchange) isSteady() bool {
	held := time.Since(x.began)
	return held >= heldTime && float64(x.received.Load()) >= float64(x.proxy.rate.Least)*held.Seconds()
}

// growHeld makes room for more content, with what has come already as the measure. There is always room for a byte more than
// there can be, so that the end is read, too.
func (x *exchange) growHeld() bool {
	most := x.req.ContentLength + 1
	if x.req.ContentLength < 0 {
		most = maxHeld + 1
	}
	room := min(max(firstRoom, 4*x.heldRoom), most)
	if room == x.heldRoom || !x.pool.env.held.TakeOfHalf(room-x.heldRoom) {
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
		x.pool.env.held.Give(all)
	}
	x.http1.rest, x.heldRoom, x.heldHead = nil, 0, 0
	if x.held = x.held[:0]; cap(x.held) > keptRoom {
		x.held = nil
	}
}

// contentWait is what waits for a client before there is an attempt.
type contentWait struct{ client client }

func (w contentWait) interrupt()     { w.client.cutRead() }
func (w contentWait) interruptRead() {}
