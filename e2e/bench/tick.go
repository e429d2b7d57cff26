//go:build e2e

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

const (
	tickTarget   = 10 // ms of processor time that one tick may take at 10,000 functions
	tickMeasured = 25 // ticks that are averaged
	tickRounds   = 5
)

// benchTick measures the processor time of the activator's tick: of asking a real gateway, reading its answer, deciding
// and looking after the instances. It takes no machine. systemd is what a list says, which nothing changes; the activator
// starts nothing here.
func benchTick(ctx context.Context, l *lab) ([]result, error) {
	var results []result
	for _, n := range []struct{ functions, active int }{{1000, 10}, {10000, 10}, {10000, 100}} {
		rounds, err := measureTick(ctx, l, n.functions, n.active)
		if err != nil {
			return results, err
		}
		measure := fmt.Sprintf("tick at %d functions, %d of them active", n.functions, n.active)
		r := result{Benchmark: "tick", Measure: measure, Unit: "ms of CPU", Ours: spreadOf(rounds, 1000)}
		if n.functions == 10000 && n.active == 100 {
			r = r.aiming(r.Ours.Median < tickTarget, "< %d ms", tickTarget)
		}
		results = append(results, r)
	}
	return results, nil
}

// measureTick returns the processor time of one tick in seconds, of several rounds.
func measureTick(ctx context.Context, l *lab, functions, active int) ([]float64, error) {
	l.step("tick: making %d functions, %d of them active", functions, active)
	w, err := newTickWorld(functions, active)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(w.paths.Root)
	ctx, cancel := context.WithCancel(ctx)
	defer w.running.Wait()
	defer cancel()
	if err := w.serveInstances(ctx); err != nil {
		return nil, err
	}
	if err := w.startGateway(ctx); err != nil {
		return nil, err
	}
	a := activator.New(activator.Config{
		Store: platform.Store{Paths: w.paths}, Units: tickUnits{list: w.units()}, Source: activator.NewActiveGatewaySource(w.paths.GatewaySocket()),
		Log: slog.New(slog.DiscardHandler),
	})
	w.running.Go(func() { _ = a.Run(ctx) }) // it ends with the context
	w.request(ctx)
	if err := l.until(ctx, "all active functions, and only they, are looked at", func() (bool, error) {
		awake, err := gaugeOf(a, "fnctl_activator_awake_revisions")
		return int(awake) == active && w.allReady(a), err
	}); err != nil {
		return nil, err
	}
	var rounds []float64
	for range 1 + tickRounds {
		took, err := w.round(ctx, a)
		if err != nil {
			return nil, err
		}
		l.step("tick: %d functions, %d active: %.2f ms", functions, active, took*1000)
		rounds = append(rounds, took)
	}
	return rounds[1:], nil // the first warms up
}

// tickWorld is a store of functions of which the first so many are active: each has an instance with a request in flight.
type tickWorld struct {
	paths             platform.Paths
	functions, active int
	running           sync.WaitGroup
}

func tickInstance(n int) platform.InstanceID {
	return platform.InstanceID{Revision: platform.RevisionID{Function: fmt.Sprintf("f%05d", n), Number: 1}, Index: 1}
}

func newTickWorld(functions, active int) (*tickWorld, error) {
	dir, err := os.MkdirTemp("/dev/shm", "tick") // where a sync takes no time
	if err != nil {
		return nil, err
	}
	w := &tickWorld{paths: platform.Paths{Root: dir}, functions: functions, active: active}
	for _, dir := range []string{w.paths.Instances(), filepath.Dir(w.paths.Lock("x")), w.paths.Failures(), filepath.Join(dir, "proc")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return w, err
		}
	}
	if err := copyFile("/proc/meminfo", filepath.Join(dir, "proc/meminfo")); err != nil {
		return w, err
	}
	config, err := platform.ParseConfig("jcloud.yml", []byte("autoscale: {min: 0, metrics: [{metric: cpu}, {metric: rps}, {metric: concurrency}]}"))
	if err != nil {
		return w, err
	}
	for n := range functions {
		if err := w.deploy(tickInstance(n), config); err != nil {
			return w, err
		}
	}
	return w, nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// deploy writes what a deploy leaves, and the socket file of the instance.
func (w *tickWorld) deploy(id platform.InstanceID, config platform.Config) error {
	store := platform.Store{Paths: w.paths}
	dir := w.paths.Revision(id.Revision)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := store.PutRevision(dir, platform.Revision{ID: id.Revision, Config: config}); err != nil {
		return err
	}
	share := platform.TrafficShare{Revision: id.Revision, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(600)}}
	if err := store.PutRoute(platform.Route{Function: id.Revision.Function, Traffic: []platform.TrafficShare{share}}); err != nil {
		return err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: w.paths.InstanceSocket(id), Net: "unix"})
	if err != nil {
		return err
	}
	listener.SetUnlinkOnClose(false)
	return listener.Close() // who is active listens again
}

// serveInstances listens for the active functions. Their requests take as long as the benchmark.
func (w *tickWorld) serveInstances(ctx context.Context) error {
	for n := range w.active {
		path := w.paths.InstanceSocket(tickInstance(n))
		if err := os.Remove(path); err != nil {
			return err
		}
		listener, err := net.Listen("unix", path)
		if err != nil {
			return err
		}
		server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-ctx.Done():
			case <-r.Context().Done():
			}
		})}
		context.AfterFunc(ctx, func() { server.Close() })
		w.running.Go(func() { _ = server.Serve(listener) })
		if err := w.account(tickInstance(n)); err != nil {
			return err
		}
	}
	return nil
}

// account writes the files of an instance's control group.
func (w *tickWorld) account(id platform.InstanceID) error {
	dir := filepath.Join(w.paths.Cgroup(), "fn.slice", platform.SliceName(id.Revision.Function), id.Service())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	stat := "usage_usec 1000000\nuser_usec 700000\nsystem_usec 300000\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n"
	return os.WriteFile(filepath.Join(dir, "cpu.stat"), []byte(stat), 0o644)
}

// startGateway runs a gateway in a process of its own, so that what this process uses is the activator's.
func (w *tickWorld) startGateway(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", gatewayArgument, w.paths.Root)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	w.running.Go(func() { _ = cmd.Wait() }) // the context kills it
	for range 1000 {
		conn, err := net.Dial("unix", w.clientSocket())
		if err == nil {
			return conn.Close()
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the gateway does not listen at %s", w.clientSocket())
}

func (w *tickWorld) clientSocket() string { return filepath.Join(w.paths.Root, "clients.sock") }

// gatewayArgument makes this program a gateway on the files of a directory.
const gatewayArgument = "gateway"

func runGateway(ctx context.Context, root string) error {
	w := tickWorld{paths: platform.Paths{Root: root}}
	status, err := net.Listen("unix", w.paths.GatewaySocket())
	if err != nil {
		return err
	}
	clients, err := net.Listen("unix", w.clientSocket())
	if err != nil {
		return err
	}
	g, err := gateway.New(gateway.Config{
		Paths: w.paths, Host: func(function string) string { return function + ".localhost" },
		Listeners: []net.Listener{clients}, Status: []net.Listener{status}, Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		return err
	}
	return g.Run(ctx)
}

// request has one request in flight at each active function.
func (w *tickWorld) request(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{DialContext: platform.DialUnix(w.clientSocket())}}
	for n := range w.active {
		w.running.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+tickInstance(n).Revision.Function+".localhost/", nil)
				if err != nil {
					return
				}
				resp, err := client.Do(req)
				if err != nil {
					continue
				}
				resp.Body.Close() // the gateway doesn't know the function yet
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

func (w *tickWorld) allReady(a *activator.Activator) bool {
	ready := 0
	for _, s := range a.Status() {
		for _, state := range s.Instances {
			if state == platform.Ready {
				ready++
			}
		}
	}
	return ready == w.active
}

// round waits for some ticks and returns the processor time of one.
func (w *tickWorld) round(ctx context.Context, a *activator.Activator) (float64, error) {
	before, err := ticks(a)
	if err != nil {
		return 0, err
	}
	used := processorTime()
	select {
	case <-time.After(tickMeasured * activator.Tick):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	spent := processorTime() - used
	after, err := ticks(a)
	return spent / (after - before), err
}

// processorTime is what this process has used, in seconds.
func processorTime() float64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}

func ticks(a *activator.Activator) (float64, error) {
	m, err := metricOf(a, "fnctl_activator_tick_duration_seconds")
	return float64(m.GetHistogram().GetSampleCount()), err
}

func gaugeOf(a *activator.Activator, name string) (float64, error) {
	m, err := metricOf(a, name)
	return m.GetGauge().GetValue(), err
}

// metricOf reads a metric without labels of the activator's page.
func metricOf(a *activator.Activator, name string) (*dto.Metric, error) {
	page := httptest.NewRecorder()
	a.Handler().ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(page.Body)
	if err != nil || len(families[name].GetMetric()) != 1 {
		return nil, fmt.Errorf("the activator's page has no %s: %w", name, err)
	}
	return families[name].Metric[0], nil
}

// units is what systemd would list: all sockets listen, and the active functions run.
func (w *tickWorld) units() []platform.UnitStatus {
	var list []platform.UnitStatus
	for n := range w.functions {
		id := tickInstance(n)
		socket := platform.UnitStatus{Name: id.Socket(), Active: "active", Sub: "listening"}
		if n < w.active {
			socket.Sub = "running"
			list = append(list, platform.UnitStatus{Name: id.Service(), Active: "active", Sub: "running"})
		}
		list = append(list, socket)
	}
	return list
}

// tickUnits are units that nothing changes, and of which nothing else is asked.
type tickUnits struct {
	activator.Units
	list []platform.UnitStatus
}

// List implements activator.Units.
func (u tickUnits) List(context.Context, ...string) ([]platform.UnitStatus, error) {
	return u.list, nil
}

// Watch implements activator.Units.
func (tickUnits) Watch(ctx context.Context, _ chan<- platform.UnitStatus, watching func()) error {
	watching()
	<-ctx.Done()
	return ctx.Err()
}
