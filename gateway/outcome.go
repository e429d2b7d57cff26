package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// explain says why something ended with an error, which may be the result of an interruption, or of a time that is over.
func (x *exchange) explain(err, slow error) error {
	if cause := x.interruption(); cause != nil {
		return cause
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		if time.Now().Before(x.end) {
			return slow
		}
		return errTimeout
	}
	return err
}

// failed judges an attempt that brought no response, and says whether to make another one.
func (x *exchange) failed(a attempt, err error) (again bool) {
	if x.hasResponded() || x.interruption() != nil || isClientsFault(err) || errors.Is(err, errTimeout) || errors.Is(err, errNoAnswer) {
		return false // not the instance's fault, or seen by the client
	}
	if a.brokeOff(err) {
		x.lease.strike()
	}
	if !a.unseen(err) {
		return false
	}
	if !errors.Is(err, errDial) {
		x.resends++
	}
	return x.resends <= maxResends
}

// settle sees to it that a request which ended with an error is answered or broken off, and says why it was.
func (x *exchange) settle(err error) (why abortion) {
	if err == nil {
		return ""
	}
	if cause := x.interruption(); cause != nil {
		err = cause
	}
	if errors.Is(err, errClientGone) {
		x.code = statusClientGone
		x.client.abort()
		return abortedByClient
	}
	if x.hasResponded() {
		x.client.abort()
		return reasonOf(err)
	}
	x.refuse(err)
	return ""
}

// refuse answers a request that got no response.
func (x *exchange) refuse(err error) {
	r := refusalOf(err, x.function.name)
	x.code = r.code
	level := slog.LevelDebug
	if r.code == http.StatusBadGateway {
		level = slog.LevelWarn
	}
	x.gateway.log.Log(context.Background(), level, "request refused", "function", x.function.name, "revision", x.pool.revision.String(),
		"request_id", x.id, "code", r.code, "err", err)
	x.tell(r)
}

// tell sends an answer of the gateway itself.
func (x *exchange) tell(r *refusal) {
	content := r.text + "\n"
	x.code = r.code
	x.respond(answer{status: r.code, reason: []byte(http.StatusText(r.code)), fields: r.fields(), framing: wire.Length(int64(len(content))), length: int64(len(content))})
	if x.method != http.MethodHead {
		buf := x.gateway.buffers.get()
		defer x.gateway.buffers.put(buf)
		x.sent = int64(copy(buf[wire.ChunkRoom:len(buf)-2], content))
		if x.client.write(buf[:], int(x.sent)) != nil {
			return
		}
	}
	_ = x.client.finish(nil) // who does not read it has gone
}
