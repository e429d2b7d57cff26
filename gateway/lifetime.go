package gateway

import (
	"context"
	"sync"
	"time"
)

// interruptible is what waits for an instance.
type interruptible interface {
	// interrupt ends what waits, now and later.
	interrupt()
	// interruptRead ends a wait for the instance only.
	interruptRead()
}

// writer is what waits for a client.
type writer interface {
	// interruptWrite ends a write that waits for the client.
	interruptWrite()
}

// lifetime is how an exchange ends before its response does: by an interruption, or, if it is a stream, by being concluded.
// Any goroutine may use it.
type lifetime struct {
	mu        sync.Mutex
	client    writer
	attempt   interruptible // nil: none runs
	responded bool          // the client has got something
	cause     error         // of the interruption
	cancel    context.CancelCauseFunc
	concluded bool
	over      bool
}

// restart begins with the next request of a client.
func (l *lifetime) restart(client writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.client, l.attempt, l.responded, l.cause, l.cancel, l.concluded, l.over = client, nil, false, nil, nil, false, false
}

// contextUntil is for a wait without a connection. It ends at a time, with errTimeout, or with the interruption. Most
// requests need none.
func (l *lifetime) contextUntil(end time.Time) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	ctx, stop := context.WithDeadlineCause(ctx, end, errTimeout)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel != nil {
		l.cancel(nil) // what it was for is over
	}
	l.cancel = func(cause error) { cancel(cause); stop() }
	if l.cause != nil {
		cancel(l.cause)
	}
	return ctx
}

// interrupt ends the exchange, whatever it waits for. The first cause counts.
func (l *lifetime) interrupt(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause != nil || l.over {
		return
	}
	l.cause = cause
	if l.cancel != nil {
		l.cancel(cause)
	}
	if l.attempt != nil {
		l.attempt.interrupt()
	}
	if l.responded { // otherwise there is something to say yet
		l.client.interruptWrite()
	}
}

// interruption is the cause of the interruption; nil if there was none.
func (l *lifetime) interruption() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// attach makes an attempt the one that an interruption ends. It reports false if the interruption was before that.
func (l *lifetime) attach(a interruptible) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempt = a
	if l.cause != nil {
		a.interrupt()
	}
	return l.cause == nil
}

func (l *lifetime) detach() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempt = nil
}

// conclude implements stream.
func (l *lifetime) conclude() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.concluded {
		return
	}
	l.concluded = true
	if l.attempt != nil {
		l.attempt.interruptRead()
	}
}

func (l *lifetime) wasConcluded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.concluded
}

// respond notes that the client gets something from now on.
func (l *lifetime) respond() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.responded = true
}

func (l *lifetime) hasResponded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.responded
}

// close ends the exchange in order: no interruption reaches it any more.
func (l *lifetime) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.cancel != nil {
		l.cancel(nil)
	}
}
