// Package accesslog writes which requests there were to the journal, and reads them from there.
package accesslog

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

const (
	// rate is how many requests of a second are logged. Each takes journald some 30 µs and 750 bytes.
	rate = 500
	// maxBurst is what is saved up for a burst, and maxBacklog how many entries may wait for journald.
	maxBurst   = time.Second
	maxBacklog = 1000
	// share is what a function may have of the rate before its requests count as a flood, and shares is among how many functions are told
	// apart: more have some in common.
	share  = rate / 5
	shares = 256
	// gatherTime is how long entries are gathered. It takes less than half the work to write many one after the other, for
	// journald as well.
	gatherTime = 100 * time.Millisecond
	// writeTimeout bounds how long journald is waited for.
	writeTimeout = time.Second
)

// Log writes to the journal which requests there were. What is too much for it is left out and counted.
type Log struct {
	failedOnly bool
	journal    journal.Socket
	began      time.Time
	limit      rateLimit
	seed       maphash.Seed
	functions  [shares]rateLimit // by the hash of the name
	// Dropped counts the requests that were left out.
	Dropped prometheus.Counter
	// The buffers of entries go round: those in free are empty, those in full wait to be written.
	free, full chan []byte
}

// New makes a log that writes to the socket at path, of all requests or only of those that failed. Run, or During, writes it.
func New(path string, failedOnly bool) *Log {
	l := &Log{
		seed:       maphash.MakeSeed(),
		failedOnly: failedOnly,
		journal:    journal.Socket{Path: path},
		began:      time.Now(),
		limit:      rateLimit{interval: time.Second / rate},
		Dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: gateway.MetricAccessLogDropped,
			Help: "Requests that the access log has left out.",
		}),
		free: make(chan []byte, maxBacklog),
		full: make(chan []byte, maxBacklog),
	}
	for i := range l.functions {
		l.functions[i].interval = time.Second / share
	}
	for range maxBacklog {
		l.free <- nil // grows when it is first used
	}
	return l
}

// Record implements gateway.AccessLog.
func (l *Log) Record(a *gateway.Access) {
	failed := a.Status >= 500 || a.Aborted != ""
	if l.failedOnly && !failed {
		return
	}
	now := time.Since(l.began)
	part := partOf(failed, !l.functions[maphash.String(l.seed, a.Function)%shares].admit(now, maxBurst))
	if len(l.full) >= maxBacklog*part/tenths || !l.limit.admit(now, maxBurst*time.Duration(part)/tenths) {
		l.Dropped.Inc()
		return
	}
	select {
	case entry := <-l.free:
		l.full <- appendEntry(entry[:0], a) // has room for as many as there are
	default:
		l.Dropped.Inc()
	}
}

const tenths = 10

// partOf is how many tenths of the burst and of the backlog a request may use: the last ones are for those that failed, and a flood, whether
// it fails or not, leaves room for the other functions.
func partOf(failed, flood bool) int {
	switch {
	case flood && !failed:
		return 4
	case flood:
		return 6
	case !failed:
		return 8
	}
	return tenths
}

// During runs the log for as long as serve runs.
func (l *Log) During(serve func() error) error {
	ctx, end := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	writing.Go(func() { l.Run(ctx) })
	defer writing.Wait()
	defer end()
	return serve()
}

// Run writes what is recorded until the context ends, then what is left.
func (l *Log) Run(ctx context.Context) {
	defer l.journal.Close()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case entry := <-l.full:
			platform.Sleep(ctx, gatherTime)
			l.write(entry, time.Now().Add(writeTimeout))
			l.flush(time.Now().Add(writeTimeout))
		}
	}
	l.flush(time.Now().Add(writeTimeout))
}

// flush writes all that is there.
func (l *Log) flush(deadline time.Time) {
	for {
		select {
		case entry := <-l.full:
			l.write(entry, deadline)
		default:
			return
		}
	}
}

func (l *Log) write(entry []byte, deadline time.Time) {
	if l.journal.Send(entry, deadline) != nil {
		l.Dropped.Inc()
	}
	l.free <- entry
}
