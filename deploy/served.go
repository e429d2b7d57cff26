package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

const (
	// servedTimeout is how long the gateway is given to take a route, which it does within milliseconds.
	servedTimeout = 5 * time.Second
	servedPoll    = 20 * time.Millisecond
)

// checkServed warns if the gateway does not take the route of the function: then nobody serves what is ready to. One that does not run
// takes it when it starts.
func (f *Function) checkServed(ctx context.Context) {
	route, err := f.Store.Route(f.Name)
	if err != nil || route.Paused {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, servedTimeout)
	defer cancel()
	for {
		page, err := readGateway(ctx, f.Store.Paths.GatewaySocket())
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED):
			return
		case err == nil && page.serves(route):
			return
		}
		platform.Sleep(ctx, servedPoll)
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, context.DeadlineExceeded):
			f.Progress.Warn(platform.WithHint(fmt.Errorf("the gateway has not taken the route of %s within %s: requests go where they went before, or are refused", f.Name, servedTimeout),
				"journalctl -u fnctl-gateway says why; fnctl doctor"))
			return
		case cause != nil:
			return
		}
	}
}

// serves reports whether the gateway knows all revisions of a route that have traffic: a new one it knows by the route.
func (p gatewayPage) serves(route platform.Route) bool {
	known := map[string]bool{}
	for _, m := range p[platform.MetricInFlight].GetMetric() {
		known[labelOf(m, "revision")] = true
	}
	for _, share := range route.Traffic {
		if share.Percent > 0 && !known[share.Revision.String()] {
			return false
		}
	}
	return true
}
