package gateway

import (
	"context"
	"sync"
)

// group runs the goroutines that requests ask for and that outlive them. Run owns all of them and joins them.
type group struct {
	jobs chan func(context.Context)
	done chan struct{}
}

func newGroup() *group {
	return &group{jobs: make(chan func(context.Context)), done: make(chan struct{})}
}

// Run runs jobs until the context ends, and returns when the last one has.
func (g *group) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer close(g.done)
	for {
		select {
		case <-ctx.Done():
			return nil
		case job := <-g.jobs:
			running.Go(func() { job(ctx) })
		}
	}
}

// Go hands over a job. A group that has stopped drops it.
func (g *group) Go(job func(context.Context)) {
	select {
	case g.jobs <- job:
	case <-g.done:
	}
}
