//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// A function goes as a whole, and takes no request with it.
func TestRemove(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.deploy(t, "echo", serverless, "main:app")
	m.MustRun(t, "fnctl", "remove", "echo", "--purge") // systemd makes the parents of its directories once and for all
	before := footprint(t, m)
	t.Run("finishes requests", func(t *testing.T) { testRemoveInFlight(t, m) })
	t.Run("impatient", func(t *testing.T) { testRemoveImpatient(t, m) })
	t.Run("killed", func(t *testing.T) { testRemoveKilled(t, m, before) })
	t.Run("without its route", func(t *testing.T) { testRemoveWithoutRoute(t, m, before) })
}

func testRemoveInFlight(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", serverless, "main:app")
	done := make(chan error, 1)
	go func() {
		a, err := fetch(t.Context(), m.Client(), echoURL+"/sleep?seconds=3")
		if err == nil && a.code != http.StatusOK {
			err = fmt.Errorf("%d %s", a.code, a.body)
		}
		done <- err
	}()
	eventually(t, 20*time.Second, "the request is in flight", func() bool {
		s := m.status(t, "echo")
		return len(s.Revisions) == 1 && len(s.Revisions[0].Instances) == 1 && s.Revisions[0].Instances[0].InFlight == 1
	})
	m.MustRun(t, "fnctl", "remove", "echo", "--purge")
	if err := <-done; err != nil {
		t.Errorf("the request that was in flight: %v", err)
	}
	if a, err := fetch(t.Context(), m.Client(), echoURL+"/sleep"); err != nil || a.code != http.StatusNotFound {
		t.Errorf("afterwards: got %d %q, %v", a.code, a.body, err)
	}
}

// Requests that would run for an hour are not waited for that long.
func testRemoveImpatient(t *testing.T, m *testMachine) {
	m.deploy(t, "echo", serverless+"timeout: 1h\n", "main:app")
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		a, err := fetch(ctx, m.Client(), echoURL+"/sleep?seconds=3600")
		if err == nil && a.code == http.StatusOK {
			err = errors.New("it was waited for")
		}
		ended <- err
	}()
	m.waitInFlight(t, "echo", 1)
	out := m.MustRun(t, "sh", "-c", "fnctl remove echo --purge --timeout 2s 2>&1")
	if !strings.Contains(out, "1 request, for 2s at most") || !strings.Contains(out, "removed successfully") {
		t.Errorf("remove says:\n%s", out)
	}
	<-ended
}

// Wherever a removal is killed, the next command of either kind works, and in the end nothing is left.
func testRemoveKilled(t *testing.T, m *testMachine, before string) {
	for n := range 5 {
		m.deploy(t, "echo", serverless, "main:app")
		m.MustRun(t, "sh", "-c", fmt.Sprintf("timeout --signal=KILL 0.%02d fnctl remove echo || true", 1+4*n))
		if n%2 == 0 {
			m.MustRunIn(t, "/srv/echo", "fnctl", "deploy", "main:app")
			m.mustGet(t, echoURL+"/headers")
		}
		// One that was killed at its very end has done it all.
		m.MustRun(t, "sh", "-c", "fnctl remove echo --purge || ! fnctl status echo")
		if after := footprint(t, m); after != before {
			t.Fatalf("killed after %d0 ms, it leaves something behind:\n%s\nbefore:\n%s", 1+4*n, after, before)
		}
	}
}

// What is lost by accident is told from what is removed: a failed deploy leaves the function, a removal doesn't.
func testRemoveWithoutRoute(t *testing.T, m *testMachine, before string) {
	m.deploy(t, "echo", serverless, "main:app")
	m.MustRun(t, "rm", "/var/lib/fnctl/functions/echo/route.json")
	m.CopyIn(t, function("broken/import-error"), "/srv/import-error")
	m.MustFail(t, 1, "env", "--chdir=/srv/import-error", "fnctl", "deploy", "main:app", "--name", "echo")
	m.mustGet(t, echoURL+"/headers")
	m.MustRun(t, "fnctl", "remove", "echo", "--purge")
	if a, err := fetch(t.Context(), m.Client(), echoURL+"/headers"); err != nil || a.code != http.StatusNotFound {
		t.Errorf("got %d %q, %v", a.code, a.body, err)
	}
	if after := footprint(t, m); after != before {
		t.Errorf("it leaves something behind:\n%s\nbefore:\n%s", after, before)
	}
}
