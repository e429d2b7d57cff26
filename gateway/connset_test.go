package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
)

// visit is a client, with the gateway's end of its connection.
type visit struct {
	t       *testing.T
	clients *clients
	conn    *clientConn
	far     *net.TCPConn
	answers *bufio.Reader
}

func newVisit(t *testing.T, idleTimeout time.Duration) *visit {
	t.Helper()
	hangups, err := netio.NewHangups()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{IdleTimeout: idleTimeout, Logger: slog.New(slog.DiscardHandler)}.withDefaults()
	metrics := newMetrics()
	p := &proxy{fleet: newFleet(cfg, hangups, newGroup(), metrics), buffers: netio.NewBuffers(), metrics: metrics, via: newVia("test"), log: cfg.Logger}
	k := newClients(&cfg, p, nil, hangups, newCrowd(&cfg), nil)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- hangups.Run(ctx) }()
	go func() { ended <- k.env.conns.run(ctx) }()
	near, far := tcpPair(t)
	k.take(k.plain(near))
	t.Cleanup(func() {
		k.close()
		stop()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
	})
	v := &visit{t: t, clients: k, far: far, answers: bufio.NewReader(far)}
	k.env.conns.each(func(c *clientConn) { v.conn = c })
	return v
}

// ask has an answer, and returns whether the connection stays open then.
func (v *visit) ask() (stays bool) {
	v.t.Helper()
	io.WriteString(v.far, "GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
	return v.answered()
}

func (v *visit) answered() (stays bool) {
	v.t.Helper()
	res, err := http.ReadResponse(v.answers, nil)
	if err != nil || res.StatusCode != http.StatusNotFound {
		v.t.Fatalf("got %v, %v", res, err)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		v.t.Fatal(err)
	}
	return !res.Close
}

func (v *visit) isAsleep() bool {
	v.conn.mu.Lock()
	defer v.conn.mu.Unlock()
	return v.conn.asleep
}

func (v *visit) idleEnd() time.Time {
	v.conn.mu.Lock()
	defer v.conn.mu.Unlock()
	return v.conn.idleEnd
}

func (v *visit) awaitSleep() {
	v.t.Helper()
	v.eventually("it falls asleep", v.isAsleep)
}

func (v *visit) awaitClose() {
	v.t.Helper()
	if _, err := v.answers.ReadByte(); !errors.Is(err, io.EOF) {
		v.t.Errorf("got %v", err)
	}
	v.far.Close()
	v.eventually("it is forgotten", func() bool { return v.clients.count() == 0 })
}

func (v *visit) eventually(what string, ok func() bool) {
	v.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			v.t.Fatalf("never: %s", what)
		}
	}
}

// A connection that is asleep is what it would be if it were not.
func TestAsleep(t *testing.T) {
	stop := func(v *visit) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		v.clients.stop(ctx)
		if ctx.Err() != nil {
			v.t.Error("a connection may bring a request still")
		}
	}
	for name, test := range map[string]struct {
		idleTimeout time.Duration
		then        func(v *visit)
	}{
		"a request": {time.Hour, func(v *visit) {
			if !v.ask() {
				v.t.Error("it does not stay")
			}
			v.conn.mu.Lock()
			after := v.conn.sleepAfter
			v.conn.mu.Unlock()
			if after <= minSleepAfter {
				v.t.Errorf("it falls asleep as soon as before, after %v", after)
			}
			v.awaitSleep()
			v.ask()
		}},
		"a request by halves": {time.Hour, func(v *visit) {
			io.WriteString(v.far, "GET / HTTP/1.1\r\nHost: ")
			v.eventually("it is awake", func() bool { return !v.isAsleep() })
			io.WriteString(v.far, "nobody.localhost\r\n\r\n")
			v.answered()
		}},
		"the end": {time.Hour, func(v *visit) {
			v.far.CloseWrite()
			v.awaitClose()
		}},
		"a reset": {time.Hour, func(v *visit) {
			v.far.SetLinger(0)
			v.far.Close()
			v.eventually("it is forgotten", func() bool { return v.clients.count() == 0 })
		}},
		"its time is over": {time.Second, func(v *visit) {
			end := v.idleEnd()
			v.awaitClose()
			if later := v.idleEnd(); later != end {
				v.t.Errorf("it has waited until %v and not %v", later, end)
			}
		}},
		"the gateway stops": {time.Hour, func(v *visit) {
			stop(v)
			v.awaitClose()
		}},
		"the gateway has handed over": {time.Hour, func(v *visit) {
			v.clients.keepIdle()
			stop(v)
			if !v.isAsleep() {
				v.t.Error("it was woken")
			}
			if v.ask() {
				v.t.Error("the answer does not say that it was the last one")
			}
			v.awaitClose()
		}},
		"the gateway interrupts": {time.Hour, func(v *visit) {
			v.clients.interrupt()
			v.awaitClose()
		}},
		"the gateway closes": {time.Hour, func(v *visit) {
			v.clients.close()
			v.awaitClose()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVisit(t, test.idleTimeout)
			v.ask()
			v.awaitSleep()
			test.then(v)
		})
	}
}

// No request is lost that comes in the moment in which its connection falls asleep.
func TestFallsAsleepAllTheTime(t *testing.T) {
	v := newVisit(t, time.Hour)
	v.conn.mu.Lock()
	v.conn.sleepAfter = 0
	v.conn.mu.Unlock()
	done := make(chan struct{})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		for {
			select {
			case <-done:
				return
			default:
				v.clients.env.conns.sweep(time.Now())
			}
		}
	}()
	for range 1000 {
		v.ask()
	}
	v.awaitSleep()
	close(done)
	<-swept
}

// Nobody looks at connections when all of them are asleep, until there is one that is not.
func TestSweepPauses(t *testing.T) {
	v := newVisit(t, time.Hour)
	set := v.clients.env.conns
	v.ask()
	v.awaitSleep()
	isWatched := func() bool {
		set.mu.Lock()
		defer set.mu.Unlock()
		return set.watched
	}
	v.eventually("nobody looks", func() bool { return !isWatched() })
	if pause := set.sweep(time.Now()); pause < 50*time.Minute {
		t.Errorf("the next look is after %v", pause)
	}
	v.ask()
	if !isWatched() {
		t.Error("nobody looks at a connection that is awake")
	}
	v.awaitSleep()
}
