package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// told is a sink that remembers.
type told struct {
	mu      sync.Mutex
	reasons map[platform.RevisionID]string
}

func (s *told) failed(id platform.RevisionID, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reasons[id] = reason
}

func (s *told) recovered(id platform.RevisionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.reasons, id)
}

func (s *told) is(want map[platform.RevisionID]string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Equal(s.reasons, want)
}

// newTold follows the failures of a directory that is not there yet.
func newTold(t *testing.T) (*told, platform.Store) {
	t.Helper()
	paths := platform.Paths{Root: t.TempDir()}
	sink := &told{reasons: make(map[platform.RevisionID]string)}
	log := slog.New(slog.DiscardHandler)
	f := newFailureFollower(Config{Paths: paths, Logger: log}, sink)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- platform.Follow(ctx, f, log) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return sink, platform.Store{Paths: paths}
}

func (s *told) wait(t *testing.T, what string, want map[platform.RevisionID]string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !s.is(want); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: want %v, got %v", what, want, s.reasons)
		}
	}
}

func TestFailuresAreFollowed(t *testing.T) {
	sink, store := newTold(t)
	ping, pong := platform.RevisionID{Function: "ping", Number: 1}, platform.RevisionID{Function: "pong", Number: 2}
	put := func(id platform.RevisionID, reason string) {
		t.Helper()
		if err := store.PutFailure(platform.Failure{Revision: id, Explanation: reason}); err != nil {
			t.Fatal(err)
		}
	}
	put(ping, "a")
	sink.wait(t, "the directory comes to be", map[platform.RevisionID]string{ping: "a"})
	put(pong, "b")
	put(ping, "c")
	sink.wait(t, "one more, and one that changes", map[platform.RevisionID]string{ping: "c", pong: "b"})
	if err := store.RemoveFailure(ping); err != nil {
		t.Fatal(err)
	}
	sink.wait(t, "one is over", map[platform.RevisionID]string{pong: "b"})
	if err := os.RemoveAll(store.Paths.Failures()); err != nil {
		t.Fatal(err)
	}
	sink.wait(t, "the directory is gone", map[platform.RevisionID]string{})
	put(pong, "d")
	sink.wait(t, "and back", map[platform.RevisionID]string{pong: "d"})
}

// A file that says nothing must not refuse requests, and must not end the follower.
func TestFailuresThatSayNothing(t *testing.T) {
	sink, store := newTold(t)
	ping := platform.RevisionID{Function: "ping", Number: 1}
	for n, text := range []string{"", "{", `{"revision":"pong-00001","reason":"x"}`, `[]`} {
		if err := store.PutFailure(platform.Failure{Revision: ping, Explanation: fmt.Sprint(n)}); err != nil {
			t.Fatal(err)
		}
		sink.wait(t, "it fails", map[platform.RevisionID]string{ping: fmt.Sprint(n)})
		if err := os.WriteFile(store.Paths.Failure(ping), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		sink.wait(t, fmt.Sprintf("%q is no failure", text), map[platform.RevisionID]string{})
	}
}
