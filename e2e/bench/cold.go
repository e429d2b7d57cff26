//go:build e2e

package main

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/fnctl/fnctl/e2e/machine"
)

// coldTarget is how much longer a cold start may take than a bare one, in ms, and poisedTarget one whose sandbox is there.
const (
	coldTarget   = 25
	poisedTarget = 2
)

// poisedWhole is how long a start of a FastAPI app whose sandbox is there may take, in those of a bare one.
const poisedWhole = 1.02

// coldOnly has nothing sleep or wait: the benchmark says itself what does.
const coldOnly = "standby: {memory: 0}\npoised: {count: 0}\n"

// instant is an app that starts at once, so that nearly all of its cold start is the platform's. What takes the place of
// systemd in a bare start cannot know the process that LISTEN_PID has to name.
const instant = "#!/bin/sh\nexport LISTEN_PID=$$\nexec /usr/local/bin/hello-go\n"

// benchCold compares requests to functions at zero with bare starts of the same commands.
func benchCold(ctx context.Context, l *lab) ([]result, error) {
	if err := l.likeHardware(ctx); err != nil {
		return nil, err
	}
	if err := l.configure(ctx, coldOnly); err != nil {
		return nil, err
	}
	if err := l.machine.CopyIn(ctx, filepath.Join(machine.Root(), "testdata/functions/ping"), "/srv/ping"); err != nil {
		return nil, err
	}
	if err := l.machine.WriteFile(ctx, "/srv/instant/hello", []byte(instant), 0o755); err != nil {
		return nil, err
	}
	var results []result
	for _, app := range []coldApp{
		{name: "ping", deploy: "main:app", path: "/ping", peer: "bare uvicorn"},
		{name: "instant", deploy: "./hello", path: "/", peer: "bare program", judged: true},
	} {
		found, err := l.coldStarts(ctx, app)
		if err != nil {
			return results, err
		}
		results = append(results, found...)
	}
	return results, nil
}

// coldApp is an app in /srv, and where it answers. Not all are judged: a server in Python takes longer or shorter by many
// times what is looked for.
type coldApp struct {
	name, deploy, path, peer string
	judged                   bool
}

// coldStarts deploys an app and compares its cold starts with bare ones.
func (l *lab) coldStarts(ctx context.Context, app coldApp) ([]result, error) {
	if _, err := l.machine.RunIn(ctx, "/srv/"+app.name, "fnctl", "deploy", app.deploy); err != nil {
		return nil, err
	}
	times, err := l.drive(ctx, func(round map[string]float64) {
		l.step("cold: %s by fnctl %.1f ms, poised %.1f ms, bare %.1f ms", app.name, round["fnctl"]*1000, round["poised"]*1000, round["bare"]*1000)
	}, "-rounds", strconv.Itoa(l.rounds), "cold", app.name, app.path)
	if err != nil {
		return nil, err
	}
	whole := result{Benchmark: "cold", Measure: "cold start of " + app.name + ", request to answer", Unit: "ms", Ours: spreadOf(times["fnctl"], 1000)}
	extra := result{Benchmark: "cold", Measure: "  what the platform adds", Unit: "ms", Ours: added(times["fnctl"], times["bare"])}
	poised := result{Benchmark: "cold", Measure: "cold start of " + app.name + ", from poised", Unit: "ms", Ours: spreadOf(times["poised"], 1000)}.
		against(app.peer, spreadOf(times["bare"], 1000))
	more := result{Benchmark: "cold", Measure: "  what the platform adds to it", Unit: "ms", Ours: added(times["poised"], times["bare"])}
	if app.judged {
		extra = extra.aiming(extra.Ours.Median <= coldTarget, "≤ %d ms", coldTarget)
		more = more.aiming(more.Ours.Median <= poisedTarget, "≤ %d ms", poisedTarget)
	} else {
		poised = poised.aiming(poised.Ratio <= poisedWhole, "≤ %.2f×", poisedWhole)
	}
	results := []result{whole.against(app.peer, spreadOf(times["bare"], 1000)), extra}
	for _, part := range []struct{ name, measure string }{
		{"wake", "  request → its process exists"},
		{"sandbox", "  → the app is executed"},
		{"app", "  → answer"},
	} {
		results = append(results, result{Benchmark: "cold", Measure: part.measure, Unit: "ms", Ours: spreadOf(times[part.name], 1000)})
	}
	return append(results, poised, more), nil
}
