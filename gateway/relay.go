package gateway

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// promptContent is the length of a response whose head is not sent before its content: what is so short, and says how long
// it is, is no stream.
const promptContent = 64 << 10

// relay sends the client what the instance answers.
func (x *exchange) relay(a attempt) error {
	deadline := x.bounded(x.share.responseStart)
	for {
		if err := a.receive(&x.res, deadline); err != nil {
			return x.explain(err, errNoAnswer)
		}
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
		return x.tunnel(a)
	}
	framing := x.res.Framing([]byte(x.method))
	x.respond(answer{status: x.code, reason: x.res.Reason, fields: x.res.Fields, framing: framing, length: x.res.ContentLength})
	if framing.IsNone() {
		return x.sentAll(x.client.finish(nil))
	}
	if isEventStream(x.res.Fields) {
		defer x.lease.stream(x)()
	}
	return x.copy(a, framing)
}

func (x *exchange) respond(head answer) {
	x.head = head
	x.head.id, x.head.cold, x.head.cookie = x.id, x.cold, x.cookie
	x.mu.Lock()
	x.responded = true
	x.mu.Unlock()
	x.client.respond(&x.head)
}

// copy sends the content of the response as it comes.
func (x *exchange) copy(a attempt, framing wire.Framing) error {
	buf := x.gateway.buffers.get()
	defer x.gateway.buffers.put(buf)
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
		n, err := a.read(buf[wire.ChunkRoom:len(buf)-2], x.bounded(x.share.idle))
		if n > 0 {
			prompt = false
			x.sent += int64(n)
			if err := x.client.write(buf[:], n); err != nil {
				return errClientGone
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return x.sentAll(x.client.finish(a.trailer()))
		case err != nil && x.wasConcluded():
			return x.sentAll(x.client.finish(nil))
		case err != nil:
			return x.explain(err, errSilent)
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
		return x.explain(err, errSilent)
	}
	return nil
}

func (x *exchange) sentAll(err error) error {
	if err != nil {
		return errClientGone
	}
	return nil
}
