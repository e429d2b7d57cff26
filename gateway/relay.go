package gateway

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

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
		if x.res.Status == http.StatusContinue && x.received.Load() == 0 {
			x.pace.Wait()
		}
	}
	x.pace.Stop() // an app that answers waits for its client no more than that does for it
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
	}
	if !known {
		length = -1
	}
	return x.delivered.run(x, a, length)
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
