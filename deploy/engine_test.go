package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// Who does not wait fails at once, but not because somebody has just looked whether the lock is free.
func TestLockWithoutWaiting(t *testing.T) {
	store := platform.Store{Paths: platform.Paths{Root: t.TempDir()}}
	engine := &Engine{Store: store, NoWait: true}
	held, err := store.TryLock("shop")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Open(t.Context(), "shop"); err == nil || !strings.HasPrefix(err.Error(), "another command is changing shop") {
		t.Errorf("got %v", err)
	}
	time.AfterFunc(LockGlance/5, held)
	function, err := engine.Open(t.Context(), "shop")
	if err != nil {
		t.Fatalf("after a LockGlance: %v", err)
	}
	function.Close()
}
