//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// pid1 is the memory of a machine's PID 1 in KB: what it has allocated. Its libraries don't grow, and their part of RSS
// and PSS depends on what else runs on the host.
func pid1(ctx context.Context, m *machine.Machine) (kb float64, err error) {
	out, err := m.Run(ctx, "awk", "/^Anonymous:/ { print $2 }", "/proc/1/smaps_rollup")
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(out.Stdout, &kb)
	return kb, err
}

// armed is what each function has added to PID 1's memory since the first few.
func (l *lab) armed(ctx context.Context, before float64) (result, error) {
	after, err := pid1(ctx, l.machine)
	if err != nil {
		return result{}, err
	}
	l.step("memory: PID 1 has grown from %.1f to %.1f MB", before/1024, after/1024)
	peer, err := l.bareSockets(ctx)
	if err != nil {
		return result{}, err
	}
	each := (after - before) / float64(l.functions-edge)
	return result{Benchmark: "memory", Measure: "PID 1, per armed function", Unit: "KB", Ours: single(each)}.
		against("bare socket and service", single(peer)).
		aiming(each < armedTarget, "< %d KB", armedTarget), nil
}

// bareUnits arms sockets without a platform: two units each, of the fewest lines that work.
const bareUnits = `cd /run/systemd/system
for i in $(seq %d); do
	printf '[Socket]\nListenStream=/run/bare-%%d.sock\n' "$i" >bare-"$i".socket
	printf '[Service]\nExecStart=/bin/true\n' >bare-"$i".service
done
seq -f 'bare-%%g.socket' %[1]d | xargs systemctl start
`

// bareSockets is what systemd itself needs for each armed pair of units, on a machine of its own.
func (l *lab) bareSockets(ctx context.Context) (kb float64, err error) {
	m, err := machine.Boot(ctx, machine.Options{Suite: l.suite})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	before, err := pid1(ctx, m)
	if err != nil {
		return 0, err
	}
	if _, err := m.Shell(ctx, fmt.Sprintf(bareUnits, l.functions)); err != nil {
		return 0, err
	}
	after, err := pid1(ctx, m)
	return (after - before) / float64(l.functions), err
}

// daemons is the memory of the gateway and the activator together, against nginx with as many hosts: resident, and with
// the pages counted once that both of them have of the one binary.
func (l *lab) daemons(ctx context.Context) ([]result, error) {
	if err := l.nginxWithHosts(ctx); err != nil {
		return nil, err
	}
	var results []result
	for _, kind := range []string{"Rss", "Pss"} {
		ours, err := l.memory(ctx, kind, "fnctl-gateway.service", "fnctl-activator.service")
		if err != nil {
			return nil, err
		}
		peer, err := l.memory(ctx, kind, "bench-nginx.service")
		if err != nil {
			return nil, err
		}
		measure := fmt.Sprintf("both daemons at %d functions, %s", l.functions, strings.ToUpper(kind))
		results = append(results, result{Benchmark: "memory", Measure: measure, Unit: "MB", Ours: single(ours)}.
			against("nginx with as many hosts", single(peer)))
	}
	rss := results[0].Ours.Median
	results[0] = results[0].aiming(rss < daemonTarget, "< %d MB", daemonTarget)
	return results, nil
}

// memory adds up the memory of all processes of some units, in MB, of one kind that /proc/PID/smaps_rollup knows.
func (l *lab) memory(ctx context.Context, kind string, units ...string) (total float64, err error) {
	for _, unit := range units {
		kb, err := l.number(ctx, "bash", "-c", `for pid in $(cat /sys/fs/cgroup/system.slice/`+unit+`/cgroup.procs); do
			cat /proc/$pid/smaps_rollup; done | awk '/^`+kind+`:/ { sum += $2 } END { print sum }'`)
		if err != nil {
			return 0, err
		}
		l.step("memory: %s has %.1f MB (%s)", unit, kb/1024, strings.ToUpper(kind))
		total += kb / 1024
	}
	return total, nil
}

// idle is the share of one core that the platform uses while nobody asks for anything, in percent.
func (l *lab) idle(ctx context.Context) (result, error) {
	const seconds = 5
	units := []string{"fnctl-gateway.service", "fnctl-activator.service"}
	sum := func() (usec float64, err error) {
		for _, unit := range units {
			used, err := l.cpu(ctx, unit)
			if err != nil {
				return 0, err
			}
			usec += used
		}
		return usec, nil
	}
	before, err := sum()
	if err != nil {
		return result{}, err
	}
	select {
	case <-time.After(seconds * time.Second):
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
	after, err := sum()
	measure := fmt.Sprintf("both daemons' CPU at rest, at %d functions", l.functions)
	return result{Benchmark: "memory", Measure: measure, Unit: "% of a core", Ours: single((after - before) / (seconds * 1e6) * 100)}, err
}

// nginxWithHosts starts an nginx that knows every function's host and socket.
func (l *lab) nginxWithHosts(ctx context.Context) error {
	var config strings.Builder
	config.WriteString("worker_processes 1;\npid /run/bench-nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n" +
		"server_names_hash_max_size 4096;\n")
	for n := range l.functions {
		fmt.Fprintf(&config, "server { listen 127.0.0.1:8081; server_name hello-%04d.localhost; location / { "+
			"proxy_pass http://unix:/run/fnctl/instances/hello-%04[1]d-00001@1.sock; } }\n", n+1)
	}
	config.WriteString("}\n")
	if err := l.machine.WriteFile(ctx, "/etc/bench-nginx.conf", []byte(config.String()), 0o644); err != nil {
		return err
	}
	if err := l.startNginx(ctx); err != nil {
		return err
	}
	return l.until(ctx, "nginx listens", func() (bool, error) {
		out, err := l.run(ctx, "ss", "--listening", "--numeric", "--tcp", "--no-header", "sport", "=", ":8081")
		return out != "", err
	})
}
