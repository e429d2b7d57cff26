package cli

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// Who does not wait fails at once, but not because somebody has just looked whether the lock is free.
func TestLockWithoutWaiting(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	held, err := store.TryLock("shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockFunction(t.Context(), store, "shop", newProgress(io.Discard), true); err == nil || !strings.HasPrefix(err.Error(), "another command is changing shop") {
		t.Errorf("got %v", err)
	}
	time.AfterFunc(glance/5, held)
	unlock, err := lockFunction(t.Context(), store, "shop", newProgress(io.Discard), true)
	if err != nil {
		t.Fatalf("after a glance: %v", err)
	}
	unlock()
}
