//go:build e2e

package main

import (
	"context"
	"path/filepath"
	"strconv"

	"github.com/fnctl/fnctl/e2e/machine"
)

// coldTarget is how much longer a cold start may take than a bare one, in ms.
const coldTarget = 25

// instant is an app that starts at once, so that nearly all of its cold start is the platform's. What takes the place of
// systemd in a bare start cannot know the process that LISTEN_PID has to name.
const instant = "#!/bin/sh\nexport LISTEN_PID=$$\nexec /usr/local/bin/hello-go\n"

// benchCold compares requests to functions at zero with bare starts of the same commands.
func benchCold(ctx context.Context, l *lab) ([]result, error) {
	if err := l.likeHardware(ctx); err != nil {
		return nil, err
	}
	if err := l.machine.CopyIn(ctx, filepath.Join(machine.Root(), "testdata/functions/ping"), "/srv/ping"); err != nil {
		return nil, err
	}
	if err := l.machine.WriteFile(ctx, "/srv/instant/hello", []byte(instant), 0o755); err != nil {
		return nil, err
	}
	served, err := l.coldStarts(ctx, "ping", "main:app", "/ping", "bare uvicorn")
	if err != nil {
		return nil, err
	}
	added, err := l.coldStarts(ctx, "instant", "./hello", "/", "bare program")
	if err != nil {
		return served, err
	}
	// A server in Python takes longer or shorter by many times what is looked for.
	extra := &added[1]
	*extra = extra.aiming(extra.Ours.Median <= coldTarget, "≤ %d ms", coldTarget)
	return append(served, added...), nil
}

// coldStarts deploys an app and compares its cold starts with bare ones.
func (l *lab) coldStarts(ctx context.Context, name, app, path, peer string) ([]result, error) {
	if _, err := l.machine.RunIn(ctx, "/srv/"+name, "fnctl", "deploy", app); err != nil {
		return nil, err
	}
	times, err := l.drive(ctx, func(round map[string]float64) {
		l.step("cold: %s by fnctl %.1f ms, bare %.1f ms", name, round["fnctl"]*1000, round["bare"]*1000)
	}, "-rounds", strconv.Itoa(l.rounds), "cold", name, path)
	if err != nil {
		return nil, err
	}
	whole := result{Benchmark: "cold", Measure: "cold start of " + name + ", request to answer", Unit: "ms", Ours: spreadOf(times["fnctl"], 1000)}
	results := []result{
		whole.against(peer, spreadOf(times["bare"], 1000)),
		{Benchmark: "cold", Measure: "  what the platform adds", Unit: "ms", Ours: added(times["fnctl"], times["bare"])},
	}
	for _, part := range []struct{ name, measure string }{
		{"wake", "  request → its process exists"},
		{"sandbox", "  → the app is executed"},
		{"app", "  → answer"},
	} {
		results = append(results, result{Benchmark: "cold", Measure: part.measure, Unit: "ms", Ours: spreadOf(times[part.name], 1000)})
	}
	return results, nil
}
