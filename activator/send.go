package activator

import (
	"context"
)

// send gives a value to the receiver of a channel, unless the context ends first.
func send[T any](ctx context.Context, ch chan<- T, value T) {
	select {
	case ch <- value:
	case <-ctx.Done():
	}
}
