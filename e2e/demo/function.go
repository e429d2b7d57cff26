//go:build e2e

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/e2e/machine"
)

// waitTimeout bounds the wait for anything that should happen; it comes to an end much sooner.
const waitTimeout = time.Minute

// deploy copies a sample function to the machine and deploys it as a user does.
func (d *demo) deploy(ctx context.Context, name string) error {
	dir := "/srv/" + name
	if err := d.machine.CopyIn(ctx, filepath.Join(machine.Root(), "testdata/functions", name), dir); err != nil {
		return err
	}
	if err := d.run(ctx, dir, "cat", "jcloud.yml"); err != nil {
		return err
	}
	began := time.Now()
	if err := d.run(ctx, dir, "fnctl", "deploy", "main:app"); err != nil {
		return err
	}
	d.check(name+": deploy", seconds(time.Since(began)), "it answers", true)
	fmt.Fprintln(d.out)
	return nil
}

// status is what fnctl status -o json says of a function, as far as the demo needs it.
type status struct {
	Revisions []struct {
		Instances []instance `json:"instances"`
	} `json:"revisions"`
}

type instance struct {
	Name  string `json:"name"`
	State string `json:"state"`
	PIDs  []int  `json:"pids"`
}

// asleep is the state of an instance that is frozen.
const asleep = "standby"

// listens reports whether the instance is one that a request would start.
func (i instance) listens() bool { return i.State == "armed" || i.State == "poised" }

// instances lists the instances of a function.
func (d *demo) instances(ctx context.Context, name string) ([]instance, error) {
	out, err := d.machine.Run(ctx, "fnctl", "status", name, "-o", "json")
	if err != nil {
		return nil, err
	}
	var s status
	if err := json.Unmarshal([]byte(out.Stdout), &s); err != nil {
		return nil, fmt.Errorf("read fnctl status: %w", err)
	}
	var all []instance
	for _, revision := range s.Revisions {
		all = append(all, revision.Instances...)
	}
	return all, nil
}

// awake are the instances of a function that neither sleep nor wait to be started.
func (d *demo) awake(ctx context.Context, name string) ([]instance, error) {
	all, err := d.instances(ctx, name)
	return slices.DeleteFunc(all, func(i instance) bool { return i.State == asleep || i.listens() }), err
}

// until waits for a condition and returns how long that took; met reports whether it came true in time.
func until(ctx context.Context, condition func() (bool, error)) (took time.Duration, met bool, err error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); ; {
		met, err := condition()
		if took := time.Since(began); met || err != nil || took > waitTimeout {
			return took, met, err
		}
		select {
		case <-ctx.Done():
			return 0, false, ctx.Err()
		case <-ticker.C:
		}
	}
}

// answer is what came of a request.
type answer struct {
	code int
	cold string // the response's Fnctl-Cold-Start
	body []byte
	took time.Duration
}

// get asks a function through the gateway. An answer other than 200 is counted, and no error.
func (d *demo) get(ctx context.Context, name, path string) (answer, error) {
	url := fmt.Sprintf("http://%s.localhost:8080%s", name, path)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	d.requests.Add(1)
	began := time.Now()
	resp, err := d.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		d.refused.Add(1)
	}
	return answer{resp.StatusCode, resp.Header.Get("Fnctl-Cold-Start"), body, time.Since(began)}, err
}

// burst asks several times at once.
func (d *demo) burst(ctx context.Context, count int, name, path string) ([]answer, error) {
	answers := make([]answer, count)
	var group errgroup.Group
	for i := range answers {
		group.Go(func() (err error) {
			answers[i], err = d.get(ctx, name, path)
			return err
		})
	}
	return answers, group.Wait()
}
