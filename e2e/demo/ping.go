//go:build e2e

package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
)

// showPing shows a function that runs only while somebody asks for it.
func (d *demo) showPing(ctx context.Context) error {
	d.heading("ping: it starts when somebody asks, and sleeps when nobody does",
		"min: 0 lets it go to zero when nobody asks. Its socket stays, held by systemd: a request waits there while systemd\n"+
			"starts the app. As long as there is memory for it, the app is not stopped then, but frozen: a request wakes it.")
	if err := d.deploy(ctx, "ping"); err != nil {
		return err
	}
	sleeper, err := d.waitAsleep(ctx, "ping: idle after its deploy")
	if err != nil {
		return err
	}
	if err := d.makeCold(ctx, sleeper); err != nil {
		return err
	}
	cold, err := d.get(ctx, "ping", "/ping")
	if err != nil {
		return err
	}
	d.step("GET http://ping.localhost:8080/ping without a process (cold): %s in %s", cold.body, milliseconds(cold.took))
	d.check("ping: a request without a process (cold)", milliseconds(cold.took), "200, the app started by it",
		cold.code == http.StatusOK && cold.cold != "")
	warm, err := d.warm(ctx)
	if err != nil {
		return err
	}
	d.step("the same again, 20 times (warm): %s", milliseconds(warm))
	d.check("ping: the next ones (warm, median of 20)", milliseconds(warm), "faster", warm < cold.took)
	if sleeper, err = d.waitAsleep(ctx, "ping: idle again"); err != nil {
		return err
	}
	return d.wake(ctx, sleeper, cold.took)
}

// makeCold ends the instance that sleeps, as if its memory was needed.
func (d *demo) makeCold(ctx context.Context, sleeper instance) error {
	if err := d.run(ctx, "/", "systemctl", "stop", "fn-"+sleeper.Name+".service"); err != nil {
		return err
	}
	_, met, err := until(ctx, func() (bool, error) {
		all, err := d.instances(ctx, "ping")
		return len(all) > 0 && !slices.ContainsFunc(all, func(i instance) bool { return !i.listens() || len(i.PIDs) > 0 }), err
	})
	if err == nil {
		d.step("ping has no process, and a socket that listens")
		d.check("ping: stopped by systemctl", "no process", "no process", met)
	}
	return err
}

// wake asks for ping while it sleeps, and compares that with a cold start.
func (d *demo) wake(ctx context.Context, sleeper instance, cold time.Duration) error {
	woken, err := d.get(ctx, "ping", "/ping")
	if err != nil {
		return err
	}
	d.step("GET http://ping.localhost:8080/ping asleep (wake): %s in %s; the cold start took %s", woken.body, milliseconds(woken.took), milliseconds(cold))
	all, err := d.instances(ctx, "ping")
	if err != nil {
		return err
	}
	same := slices.ContainsFunc(all, func(i instance) bool { return i.Name == sleeper.Name && slices.Equal(i.PIDs, sleeper.PIDs) })
	d.check("ping: a request asleep (wake)", milliseconds(woken.took), "200, the same process, faster than cold",
		woken.code == http.StatusOK && strings.HasSuffix(woken.cold, "; from=standby") && same && woken.took < cold)
	return nil
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

// waitAsleep waits until ping is at zero: none of its instances is awake, one listens, and one sleeps, which is returned.
func (d *demo) waitAsleep(ctx context.Context, what string) (sleeper instance, err error) {
	d.step("waiting for zero …")
	took, met, err := until(ctx, func() (bool, error) {
		all, err := d.instances(ctx, "ping")
		i := slices.IndexFunc(all, func(i instance) bool { return i.State == asleep })
		if i < 0 || !slices.ContainsFunc(all, instance.listens) {
			return false, err
		}
		sleeper = all[i]
		return !slices.ContainsFunc(all, func(i instance) bool { return i.State != asleep && !i.listens() }), err
	})
	if err != nil {
		return instance{}, err
	}
	d.step("ping is at zero: its processes %s are frozen, and a socket listens", numbers(sleeper.PIDs))
	d.check(what, "zero after "+seconds(took), "asleep", met)
	return sleeper, nil
}
