package gateway

import (
	"context"
)

// context is for what an exchange waits for without a connection. It ends with the time of the request, or its interruption.
// Most requests need none.
func (x *exchange) context() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	ctx, stop := context.WithDeadlineCause(ctx, x.end, errTimeout)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cancel != nil {
		x.cancel(nil) // what it was for is over
	}
	x.cancel = func(cause error) { cancel(cause); stop() }
	if x.cause != nil {
		cancel(x.cause)
	}
	return ctx
}

// interrupt ends the exchange, whatever it waits for. Any goroutine may call it; the first cause counts.
func (x *exchange) interrupt(cause error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cause != nil || x.over {
		return
	}
	x.cause = cause
	if x.cancel != nil {
		x.cancel(cause)
	}
	if x.attempt != nil {
		x.attempt.interrupt()
	}
	if x.responded { // otherwise there is something to say yet
		x.client.interruptWrite()
	}
}

func (x *exchange) interruption() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.cause
}

// attach makes an attempt the one that an interruption ends. It refuses one that would begin after that.
func (x *exchange) attach(a attempt) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.attempt = a
	if x.cause != nil {
		a.interrupt()
	}
	return x.cause == nil
}

func (x *exchange) detach() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.attempt = nil
}

// conclude ends a stream in the way of its protocol.
func (x *exchange) conclude() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over || x.concluded {
		return
	}
	x.concluded = true
	if x.attempt != nil {
		x.attempt.interruptRead()
	}
}

func (x *exchange) wasConcluded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.concluded
}

func (x *exchange) hasResponded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.responded
}
