//go:build e2e

package main

import (
	"fmt"
	"slices"
	"sync"
)

// crowd asks all functions at once, each for its first page, and repeats nothing.
func crowd(functions int) error {
	took := make([]float64, functions)
	failed := make([]error, functions)
	var asking sync.WaitGroup
	began := make(chan struct{})
	for n := range functions {
		f := function{name: fmt.Sprintf("hello-%04d", n+1), path: "/"}
		asking.Go(func() {
			<-began
			at := monotonic()
			failed[n] = f.ask(nil)
			took[n] = monotonic() - at
		})
	}
	close(began)
	asking.Wait()
	for n, err := range failed {
		if err != nil {
			return fmt.Errorf("hello-%04d: %w", n+1, err)
		}
	}
	slices.Sort(took)
	return report(map[string]float64{"median": took[functions/2], "last": took[functions-1]})
}
