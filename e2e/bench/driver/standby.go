//go:build e2e

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// sleepTimeout is how long a function has to go to standby.
const sleepTimeout = time.Minute

// standby compares a request to an instance in standby with one to the same instance when it is awake.
func standby(rounds int, f function) error {
	if err := f.ask(nil); err != nil {
		return err
	}
	for range rounds {
		if err := f.waitAsleep(); err != nil {
			return err
		}
		time.Sleep(rest)
		times := map[string]float64{}
		for _, state := range []string{"standby", "awake"} {
			began := monotonic()
			if err := f.ask(nil); err != nil {
				return err
			}
			times[state] = monotonic() - began
		}
		if f.isAsleep() {
			return errors.New("it sleeps, though it has answered")
		}
		if err := report(times); err != nil {
			return err
		}
	}
	return nil
}

// waitAsleep waits until the instance of the function is frozen.
func (f function) waitAsleep() error {
	for end := time.Now().Add(sleepTimeout); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if f.isAsleep() {
			return nil
		}
	}
	return errors.New("the function does not go to standby")
}

func (f function) isAsleep() bool {
	groups, _ := filepath.Glob("/sys/fs/cgroup/fn.slice/fn-" + f.name + ".slice/*/app/cgroup.events") // the pattern is good
	for _, group := range groups {
		events, err := os.ReadFile(group)
		if err == nil && strings.Contains(string(events), "frozen 1") {
			return true
		}
	}
	return false
}
