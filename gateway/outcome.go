package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"
)

// answerError answers a request that ended with an error, or breaks its response off, and returns why it did.
func (x *exchange) answerError(err error) abortion {
	if err == nil {
		return ""
	}
	if errors.Is(err, errClientGone) {
		x.code = statusClientGone
		x.client.abort()
		return abortedByClient
	}
	if x.hasResponded() {
		if x.sent > 0 || !x.client.retract() {
			x.client.abort()
			return abortionOf(err)
		}
		if abortionOf(err) == abortedByUpstream {
			x.lease.strike()
		}
	}
	r := refusalOf(err, x.function.name)
	x.logRefusal(r, err)
	x.refuse(r)
	return ""
}

// logRefusal tells the operator why, for whom an app that breaks off or answers badly is news, within bounds.
func (x *exchange) logRefusal(r *refusal, err error) {
	level := slog.LevelDebug
	if r.code == http.StatusBadGateway && x.function.warn(time.Now()) {
		level = slog.LevelWarn
	}
	x.proxy.log.Log(context.Background(), level, "request refused", "function", x.function.name, "revision", x.pool.revision.String(),
		"request_id", x.id, "code", r.code, "err", err)
}
