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
			if errors.Is(err, errSlowReader) {
				x.tell("response cut", x.code, err)
			}
			x.client.abort()
			return abortionOf(err)
		}
		if abortionOf(err) == abortedByUpstream {
			x.lease.strike()
		}
	}
	r := refusalOf(err, x.function.name)
	x.tell("request refused", r.code, err)
	x.refuse(r)
	return ""
}

// tell tells the operator why a request was not answered as the app would, within bounds. For them it is news if the app breaks off or
// answers badly, or if the gateway has cut a client that may have been of use.
func (x *exchange) tell(what string, code int, err error) {
	level := slog.LevelDebug
	isNews := code == http.StatusBadGateway || errors.Is(err, errSlowContent) || errors.Is(err, errSlowReader)
	if isNews && x.function.warn(time.Now()) {
		level = slog.LevelWarn
	}
	x.proxy.log.Log(context.Background(), level, what, "function", x.function.name, "revision", x.pool.revision.String(),
		"request_id", x.id, "code", code, "err", err)
}
