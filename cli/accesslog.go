package cli

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fnctl/fnctl/gateway"
)

const (
	// accessRate is how many requests of a second are logged. Each takes journald some 30 µs and 750 bytes.
	accessRate = 500
	// What is saved up for a burst. The last part is for requests that failed.
	accessBurst      = time.Second
	accessUsualBurst = 800 * time.Millisecond
	// How many entries may wait for journald; again the last ones must have failed.
	accessBacklog      = 1000
	accessUsualBacklog = 800
	// accessGather is how long entries are gathered. It takes less than half the work to write many one after the other, for
	// journald as well.
	accessGather = 100 * time.Millisecond
	// accessPatience bounds how long journald is waited for.
	accessPatience = time.Second
)

// accessLog writes to the journal which requests there were. What is too much for it is left out and counted.
type accessLog struct {
	failedOnly bool
	journal    journalSocket
	began      time.Time
	pace       pace
	dropped    prometheus.Counter
	// The buffers of entries go round: those in free are empty, those in full wait to be written.
	free, full chan []byte
}

func newAccessLog(path string, failedOnly bool) *accessLog {
	l := &accessLog{
		failedOnly: failedOnly,
		journal:    journalSocket{path: path},
		began:      time.Now(),
		pace:       pace{interval: time.Second / accessRate},
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: gateway.MetricAccessLogDropped,
			Help: "Requests that the access log has left out.",
		}),
		free: make(chan []byte, accessBacklog),
		full: make(chan []byte, accessBacklog),
	}
	for range accessBacklog {
		l.free <- nil // grows when it is first used
	}
	return l
}

// Record implements gateway.AccessLog.
func (l *accessLog) Record(a *gateway.Access) {
	failed := a.Status >= 500 || a.Aborted != ""
	if l.failedOnly && !failed {
		return
	}
	burst, backlog := accessUsualBurst, accessUsualBacklog
	if failed {
		burst, backlog = accessBurst, accessBacklog
	}
	if len(l.full) >= backlog || !l.pace.admit(time.Since(l.began), burst) {
		l.dropped.Inc()
		return
	}
	select {
	case entry := <-l.free:
		l.full <- appendAccess(entry[:0], a) // has room for as many as there are
	default:
		l.dropped.Inc()
	}
}

// during runs the log for as long as serve runs.
func (l *accessLog) during(serve func() error) error {
	ctx, end := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	writing.Go(func() { l.Run(ctx) })
	defer writing.Wait()
	defer end()
	return serve()
}

// Run writes what is recorded until the context ends, then what is left.
func (l *accessLog) Run(ctx context.Context) {
	defer l.journal.close()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case entry := <-l.full:
			l.gather(ctx)
			l.write(entry, time.Now().Add(accessPatience))
			l.flush(time.Now().Add(accessPatience))
		}
	}
	l.flush(time.Now().Add(accessPatience))
}

// gather waits for more to write.
func (l *accessLog) gather(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(accessGather):
	}
}

// flush writes all that is there.
func (l *accessLog) flush(deadline time.Time) {
	for {
		select {
		case entry := <-l.full:
			l.write(entry, deadline)
		default:
			return
		}
	}
}

func (l *accessLog) write(entry []byte, deadline time.Time) {
	if l.journal.send(entry, deadline) != nil {
		l.dropped.Inc()
	}
	l.free <- entry
}
