package activator

import (
	"context"
	"time"
)

// send gives a value to the receiver of a channel, unless the context ends first.
func send[T any](ctx context.Context, ch chan<- T, value T) {
	select {
	case ch <- value:
	case <-ctx.Done():
	}
}

// pause waits for some time, or until the context ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
