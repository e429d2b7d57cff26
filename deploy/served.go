package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

const (
	// servedTimeout is how long the gateway is given to take a route, which it does within milliseconds.
	servedTimeout = 5 * time.Second
	servedPoll    = 20 * time.Millisecond
	// gatewayRouteLimit bounds the answer, in bytes.
	gatewayRouteLimit = 16 << 20
)

// checkServed reports whether the gateway goes by the route of the function, and warns if it does not: then nobody serves what is ready to. One that does not run
// takes it when it starts.
func (f *Function) checkServed(ctx context.Context) (served bool) {
	route, err := f.Store.Route(f.Name)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, servedTimeout)
	defer cancel()
	for !hasTaken(ctx, f.Store.Paths.GatewaySocket(), route) {
		platform.Sleep(ctx, servedPoll)
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, context.DeadlineExceeded):
			f.Progress.Warn(platform.WithHint(fmt.Errorf("the gateway has not taken the route of %s within %s: requests go where they went before, or are refused", f.Name, servedTimeout),
				"journalctl -u fnctl-gateway says why; fnctl doctor"))
			return false
		case cause != nil:
			return false
		}
	}
	return true
}

// hasTaken reports whether the gateway goes by a route, or will when it starts. Of one that is too old to tell it is taken for granted.
func hasTaken(ctx context.Context, socket string, route platform.Route) bool {
	resp, err := AskDaemon(ctx, socket, platform.PathGatewayRoute+route.Function)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return true
	}
	taken, err := io.ReadAll(io.LimitReader(resp.Body, gatewayRouteLimit))
	if err != nil {
		return false
	}
	want, err := json.Marshal(route)
	return err == nil && bytes.Equal(bytes.TrimSpace(taken), want)
}
