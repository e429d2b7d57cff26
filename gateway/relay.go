package gateway

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// promptContent is the length of a response whose head is not sent before its content: what is so short, and says how long
// it is, is no stream.
const promptContent = 64 << 10

// relay sends the client what the instance answers.
func (x *exchange) relay(a attempt) error {
	sent, asks := time.Now(), x.req.ExpectContinue
	for {
		if err := x.receive(a, sent, asks); err != nil {
			return x.causeOf(err, errNoAnswer)
		}
		asks = asks && x.res.Status != http.StatusContinue
		x.lease.answered.Store(true)
		if x.res.Status >= 200 || x.res.Status == http.StatusSwitchingProtocols {
			break
		}
		if err := x.client.inform(&x.res); err != nil {
			return errClientGone
		}
	}
	x.code = x.res.Status
	x.firstByte = time.Since(x.began)
	if x.code == http.StatusSwitchingProtocols {
		x.lease.unbounded.Store(true)
		return x.tunnel(a)
	}
	framing := x.res.Framing([]byte(x.method))
	x.respond(answer{status: x.code, reason: x.res.Reason, fields: x.res.Fields, framing: framing, length: x.res.ContentLength})
	if framing.IsNone() {
		return x.finishResponse(nil)
	}
	events := isEventStream(x.res.Fields)
	length, known := framing.Length()
	if !known || events {
		x.lease.unbounded.Store(true)
	}
	if events && !known { // otherwise it cannot end before its end
		defer x.lease.addStream(x)()
	} else if known && length > writeRoom && length <= maxHeld {
		if s := x.newSpool(length); s != nil {
			defer x.freeSpool(s)
			return x.copyAhead(a, s)
		}
	}
	return x.copy(a, framing)
}

// receive waits for the head of a response to what was sent at a time. While content is waited for, that is the client's time,
// unless it asks the app first whether to send any.
func (x *exchange) receive(a attempt, sent time.Time, asks bool) error {
	for {
		err := a.receive(&x.res, x.startDeadline(sent, asks))
		if !errors.Is(err, os.ErrDeadlineExceeded) || x.interruption() != nil || !time.Now().Before(x.startDeadline(sent, asks)) {
			return err
		}
	}
}

func (x *exchange) startDeadline(sent time.Time, asks bool) time.Time {
	limit := x.share.responseStart
	if limit <= 0 {
		return x.end
	}
	if !asks || x.received.Load() > 0 {
		sent = x.lastAwaited(sent)
	}
	if own := sent.Add(limit); own.Before(x.end) {
		return own
	}
	return x.end
}

func isEventStream(fields []wire.Field) bool {
	value, once := find(fields, "content-type")
	const events = "text/event-stream"
	return once && len(value) >= len(events) && bytes.EqualFold(value[:len(events)], []byte(events))
}

// copy sends the content of the response as it comes.
func (x *exchange) copy(a attempt, framing wire.Framing) error {
	buf := x.buffers.Get()
	defer x.buffers.Put(buf)
	length, known := framing.Length()
	prompt := known && length <= promptContent
	for {
		if !prompt && x.share.idle <= 0 && x.client.splices() {
			if err := x.splice(a); err != nil {
				return err
			}
		}
		if !a.ready() && !prompt {
			if err := x.client.flush(); err != nil {
				return errClientGone
			}
		}
		n, err := a.read(buf[wire.ChunkRoom:len(buf)-2], x.deadline(x.share.idle))
		if n > 0 {
			prompt = false
			x.sent += int64(n)
			if err := x.client.write(buf[:], n); err != nil {
				return errClientGone
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			trailer := a.trailer()
			if known && !a.uploading() {
				x.leave(a, true)
			}
			return x.finishResponse(trailer)
		case err != nil && x.wasConcluded() && !known:
			return x.finishResponse(nil)
		case err != nil:
			return x.causeOf(err, errSilent)
		}
	}
}

// splice sends what is left of large content without looking at it.
func (x *exchange) splice(a attempt) error {
	from, n := a.direct(x.end)
	if n <= promptContent {
		return nil
	}
	sent, err := x.client.splice(from, n)
	a.took(sent)
	x.sent += sent
	if err != nil {
		return x.causeOf(err, errSilent)
	}
	return nil
}

// finishResponse ends a response that is whole.
func (x *exchange) finishResponse(trailer []wire.Field) error {
	if x.client.finish(trailer) != nil {
		return errClientGone
	}
	return nil
}

// tunnel answers a request that became a tunnel, and serves that.
func (x *exchange) tunnel(a attempt) error {
	instance := a.hijack()
	if instance == nil || !x.upgrade {
		return errUnasked
	}
	client := x.client.hijack()
	if client == nil {
		return errUnasked
	}
	t := newTunnel(x, client, instance)
	if strings.EqualFold(values(x.res.Fields, "upgrade"), "websocket") {
		t.frames = new(wire.Frames)
	}
	x.respond(answer{status: x.code, reason: x.res.Reason, fields: x.res.Fields, framing: wire.None(), length: -1})
	defer x.lease.addStream(x)() // before the client knows of it
	if x.client.flush() != nil {
		return errClientGone
	}
	err := t.run()
	x.sent += t.sent
	return err
}
