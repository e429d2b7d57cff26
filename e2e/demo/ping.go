//go:build e2e

package main

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// showPing shows a function that runs only while somebody asks for it.
func (d *demo) showPing(ctx context.Context) error {
	d.heading("ping: no process until somebody asks",
		"min: 0 lets it go to zero when nobody asks. Its socket stays, held by systemd: the next request waits there\n"+
			"while systemd starts the app.")
	if err := d.deploy(ctx, "ping"); err != nil {
		return err
	}
	if err := d.waitZero(ctx, "ping: idle after its deploy"); err != nil {
		return err
	}
	cold, err := d.get(ctx, "ping", "/ping")
	if err != nil {
		return err
	}
	d.step("GET http://ping.localhost:8080/ping at zero (cold): %s in %s", cold.body, milliseconds(cold.took))
	d.check("ping: a request at zero (cold)", milliseconds(cold.took), "200, the app started by it",
		cold.code == http.StatusOK && cold.cold != "")
	warm, err := d.warm(ctx)
	if err != nil {
		return err
	}
	d.step("the same again, 20 times (warm): %s", milliseconds(warm))
	d.check("ping: the next ones (warm, median of 20)", milliseconds(warm), "faster", warm < cold.took)
	return d.waitZero(ctx, "ping: idle again")
}

// warm is the median time of a request to ping while it runs.
func (d *demo) warm(ctx context.Context) (time.Duration, error) {
	times := make([]time.Duration, 20)
	for i := range times {
		a, err := d.get(ctx, "ping", "/ping")
		if err != nil {
			return 0, err
		}
		times[i] = a.took
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// waitZero waits until ping has a socket and no process.
func (d *demo) waitZero(ctx context.Context, what string) error {
	d.step("waiting for zero …")
	took, met, err := until(ctx, func() (bool, error) {
		all, err := d.instances(ctx, "ping")
		return len(all) == 1 && all[0].State == "armed" && len(all[0].PIDs) == 0, err
	})
	if err != nil {
		return err
	}
	d.step("ping is at zero: no process, one armed socket")
	d.check(what, "zero after "+seconds(took), "no process", met)
	return nil
}
