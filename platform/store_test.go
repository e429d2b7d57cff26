package platform_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

func newStore(t *testing.T) platform.Store {
	t.Helper()
	return platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
}

func route(name string) platform.Route {
	return platform.Route{Function: name, Traffic: []platform.TrafficShare{{
		Revision: platform.RevisionID{Function: name, Number: 1}, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(60)},
	}}}
}

func TestStoreRoute(t *testing.T) {
	store := newStore(t)
	if _, err := store.Route("ping"); !errors.Is(err, platform.ErrNoFunction) {
		t.Fatalf("got %v, want ErrNoFunction", err)
	}
	if err := os.MkdirAll(store.Paths.Function("ping"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRoute(route("ping")); err != nil {
		t.Fatal(err)
	}
	got, err := store.Route("ping")
	if err != nil || got.Traffic[0].Revision.String() != "ping-00001" || got.Traffic[0].Timeout != platform.Seconds(60) {
		t.Errorf("got %+v, %v", got, err)
	}
	names, err := store.Functions()
	if err != nil || strings.Join(names, " ") != "ping" {
		t.Errorf("got functions %q, %v", names, err)
	}
	left, err := filepath.Glob(filepath.Join(store.Paths.Function("ping"), ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files stay behind: %q, %v", left, err)
	}
}

// A route that vanishes is told from one that was removed.
// What the gateway reads is open to it, whatever the umask of who makes it, and whoever has closed it.
func TestStoreMakesOpenDirectories(t *testing.T) {
	store := newStore(t)
	defer unix.Umask(unix.Umask(0o077))
	id := platform.RevisionID{Function: "ping", Number: 1}
	if err := os.MkdirAll(store.Paths.Revision(id), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := store.MakeFunction("ping"); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{store.Paths.Functions(), store.Paths.Function("ping"), store.Paths.Revisions("ping"), store.Paths.Revision(id)} {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
}

func TestStoreLostRoute(t *testing.T) {
	store := newStore(t)
	if err := os.MkdirAll(store.Paths.Function("ping"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Route("ping"); !errors.Is(err, platform.ErrNoFunction) || store.Has("ping") {
		t.Errorf("before its first route: got %v", err)
	}
	for range 2 {
		if err := store.PutRoute(route("ping")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(store.Paths.Route("ping")); err != nil {
			t.Fatal(err)
		}
		_, err := store.Route("ping")
		if got, want := errorText(err), "the route of ping is missing: there is no "+store.Paths.Route("ping"); got != want || errors.Is(err, platform.ErrNoFunction) {
			t.Errorf("got %q, want %q", got, want)
		}
		if names, err := store.Functions(); err != nil || strings.Join(names, " ") != "ping" || !store.Has("ping") {
			t.Errorf("got functions %q, %v", names, err)
		}
	}
	for range 2 {
		if err := store.RemoveRoute("ping"); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Route("ping"); !errors.Is(err, platform.ErrNoFunction) || store.Has("ping") {
			t.Errorf("removed: got %v", err)
		}
	}
	if names, err := store.Functions(); err != nil || len(names) > 0 {
		t.Errorf("got functions %q, %v", names, err)
	}
	if err := store.PutRoute(route("ping")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(store.Paths.Function("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Route("ping"); !errors.Is(err, platform.ErrNoFunction) {
		t.Errorf("without its directory: got %v", err)
	}
}

func TestStoreRefusesDamagedRoutes(t *testing.T) {
	store := newStore(t)
	if err := os.MkdirAll(store.Paths.Function("ping"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{", "null", `{"function":"ping","traffic":[]}`, `{"function":"other","traffic":[{"revision":"other-00001","percent":100,"timeout_seconds":1}]}`,
		`{"function":"ping","traffic":[{"revision":"ping-00001","percent":50,"timeout_seconds":1}]}`,
		`{"function":"ping","hosts":["A B"],"traffic":[{"revision":"ping-00001","percent":100,"timeout_seconds":1}]}`,
		`{"function":"ping","traffic":[{"revision":"pong-00001","percent":100,"timeout_seconds":1}]}`} {
		if err := os.WriteFile(store.Paths.Route("ping"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Route("ping"); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	store := newStore(t)
	unlock, err := store.TryLock("ping")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.TryLock("ping"); !errors.Is(err, platform.ErrLocked) {
		t.Errorf("a second lock: got %v, want ErrLocked", err)
	}
	if got := store.LockHolder("ping"); got != os.Getpid() {
		t.Errorf("it is held by %d, want %d", got, os.Getpid())
	}
	if got := store.LockHolder("pong"); got != 0 {
		t.Errorf("nobody's lock is held by %d", got)
	}
	if other, err := store.TryLock("pong"); err != nil {
		t.Errorf("the lock of another function: %v", err)
	} else {
		other()
	}
	waited := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		unlock, err := store.Lock(t.Context(), "ping", func() { close(waited) })
		if err == nil {
			unlock()
		}
		got <- err
	}()
	<-waited
	unlock()
	if err := <-got; err != nil {
		t.Errorf("after the unlock: %v", err)
	}
	if _, err := os.Stat(store.Paths.Lock("ping")); err != nil {
		t.Errorf("another file could be locked besides the one that somebody waits for: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	unlock, _ = store.TryLock("ping")
	defer unlock()
	if _, err := store.Lock(ctx, "ping", nil); !errors.Is(err, platform.ErrLocked) {
		t.Errorf("past its bound: got %v, want ErrLocked", err)
	}
}

// What has had traffic stays known as such.
func TestStoreServed(t *testing.T) {
	store := newStore(t)
	first, second := platform.RevisionID{Function: "ping", Number: 1}, platform.RevisionID{Function: "ping", Number: 2}
	for _, id := range []platform.RevisionID{first, second} {
		if err := os.MkdirAll(store.Paths.Revision(id), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := store.PutRoute(route("ping")); err != nil {
			t.Fatal(err)
		}
	}
	if !store.Served(first) || store.Served(second) {
		t.Errorf("served: the first %v, the second %v", store.Served(first), store.Served(second))
	}
}

// A command that was killed right after it had switched the route has not marked what that reaches; the next one does.
func TestStoreServedLater(t *testing.T) {
	store := newStore(t)
	first := platform.RevisionID{Function: "ping", Number: 1}
	if err := os.MkdirAll(store.Paths.Revision(first), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := store.PutRoute(route("ping")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(store.Paths.Served(first)); err != nil {
		t.Fatal(err)
	}
	next := route("ping")
	next.Traffic[0].Revision.Number = 2
	if err := store.PutRoute(next); err != nil {
		t.Fatal(err)
	}
	if !store.Served(first) {
		t.Error("the first had traffic, and nobody knows")
	}
}

// What a command that was killed has held, whoever takes the lock next finds no more.
func TestStaleHold(t *testing.T) {
	store := newStore(t)
	for _, killed := range []bool{false, true} {
		unlock, err := store.TryLock("shop")
		if err != nil {
			t.Fatal(err)
		}
		if held := platform.Exists(store.Paths.Held("shop")); held {
			t.Error("it is held before anybody has held it")
		}
		if err := store.Hold("shop"); err != nil {
			t.Fatal(err)
		}
		if !killed {
			if _, err := store.TryLock("shop"); !errors.Is(err, platform.ErrLocked) {
				t.Errorf("the lock is taken twice: %v", err)
			}
			if !platform.Exists(store.Paths.Held("shop")) {
				t.Error("whoever didn't get the lock has taken the hold back")
			}
		}
		unlock()
	}
}
