//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The long request: at least five seconds of one core.
const longLoad = "/load/200000000"

// showLoad shows a function that gets a second instance while the first is busy.
func (d *demo) showLoad(ctx context.Context) error {
	d.heading("load: a second instance while the first is busy",
		"metric: cpu, target: 40 means that one instance should use 40 % of its core. One long calculation uses all of\n"+
			"it, so the activator starts another instance, and short requests go to both. Afterwards one is enough again.")
	if err := d.deploy(ctx, "load"); err != nil {
		return err
	}
	d.step("GET http://load.localhost:8080%s, a long calculation, and short ones beside it …", longLoad)
	long := make(chan error, 1)
	go func() {
		_, err := d.get(ctx, "load", longLoad)
		long <- err
	}()
	err := d.scaleUp(ctx)
	d.step("waiting for the long calculation …")
	if lost := <-long; err == nil {
		err = lost
	}
	if err != nil {
		return err
	}
	d.step("it is done; waiting for one instance …")
	took, met, err := until(ctx, func() (bool, error) {
		awake, err := d.awake(ctx, "load")
		return len(awake) == 1 && awake[0].State == "ready", err
	})
	if err != nil {
		return err
	}
	d.step("load is back to one instance; the other one sleeps")
	d.check("load: back to one instance", "after "+seconds(took), "1 instance awake", met)
	return nil
}

// scaleUp sends short requests until two instances have answered.
func (d *demo) scaleUp(ctx context.Context) error {
	var hosts []string
	took, met, err := until(ctx, func() (bool, error) {
		host, err := d.hostname(ctx)
		if err == nil && host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
			d.step("a short request is answered by %s", host)
		}
		return len(hosts) == 2, err
	})
	if err != nil {
		return err
	}
	slices.Sort(hosts)
	d.check("load: 1 → 2 instances under load", "after "+seconds(took), "within a minute", met)
	d.check("load: the hostnames that answer", strings.Join(hosts, ", "), "two", met)
	return nil
}

// hostname asks load which instance it is; "" if it doesn't say.
func (d *demo) hostname(ctx context.Context) (string, error) {
	a, err := d.get(ctx, "load", "/load/1")
	if err != nil || a.code != http.StatusOK {
		return "", err
	}
	var body struct {
		Hostname string `json:"hostname"`
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return "", fmt.Errorf("read the answer of load: %w", err)
	}
	return body.Hostname, nil
}
