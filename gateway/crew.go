package gateway

import (
	"context"
	"sync"
)

// crew runs the goroutines that requests ask for and that outlive them. Run owns and joins all of them.
type crew struct {
	jobs chan func(context.Context)
	done chan struct{}
}

func newCrew() *crew {
	return &crew{jobs: make(chan func(context.Context)), done: make(chan struct{})}
}

// Run runs jobs until the context ends, and returns when the last one has.
func (c *crew) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer close(c.done)
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-c.jobs:
			running.Go(func() { job(ctx) })
		}
	}
}

// Go hands over a job. A crew that has stopped drops it.
func (c *crew) Go(job func(context.Context)) {
	select {
	case c.jobs <- job:
	case <-c.done:
	}
}
