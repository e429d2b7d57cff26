//go:build e2e

package e2e

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// steady is a load on the ledger that the command e2e/steady makes.
type steady struct {
	stopCommand func(syscall.Signal) string
}

// sent is one request of a steady load.
type sent struct {
	ID      string        `json:"id"` // of a POST
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took"`
	Connect time.Duration `json:"connect"` // of Took: until there was a connection; 0 on one that was kept
	Error   string        `json:"error"`
}

// outage is when something was being killed: until it was gone.
type outage struct{ from, to time.Time }

const ledgerURL = "http://ledger.localhost:8080/"

// bootLedger boots a machine with the ledger deployed and the command of steady loads on it.
func bootLedger(t *testing.T) *testMachine {
	t.Helper()
	return bootLedgerOn(t, machine.Bookworm)
}

func bootLedgerOn(t *testing.T, suite string) *testMachine {
	t.Helper()
	m := bootInstalled(t, suite)
	m.buildIn(t, "e2e/steady", "/usr/local/bin/steady")
	m.deploy(t, "ledger", "", "main:app")
	return m
}

// buildIn compiles a program of the repository onto the machine.
func (m *testMachine) buildIn(t *testing.T, source, to string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "binary")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "e2e", "-o", binary, "./"+source)
	cmd.Dir = machine.Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // the machine is another Debian than the host, perhaps
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", source, err, out)
	}
	m.CopyIn(t, binary, to)
}

// startSteady begins; the ids of POSTs begin with name. With slow, one request of so many takes a second.
func (m *testMachine) startSteady(t *testing.T, name string, perSecond, slow int) *steady {
	t.Helper()
	return m.startSteadyOf(t, ledgerURL, "-name", name, "-rate", fmt.Sprint(perSecond), "-slow", fmt.Sprint(slow))
}

// startSteadyOf begins to ask for a URL.
func (m *testMachine) startSteadyOf(t *testing.T, url string, options ...string) *steady {
	t.Helper()
	return &steady{m.Start(t, "steady", append([]string{"-url", url}, options...)...)}
}

// stop ends the load. Only requests that were in flight while something was killed may have failed. It returns what was sent.
func (s *steady) stop(t *testing.T, outages ...outage) []sent {
	t.Helper()
	all := parseLines[sent](t, s.stopCommand(syscall.SIGTERM))
	if len(all) < 10 {
		t.Fatalf("there were only %d requests: that proves nothing", len(all))
	}
	var slowest time.Duration
	var excused int
	var failed []string
	for _, one := range all {
		switch {
		case one.Error == "":
			slowest = max(slowest, one.Took)
		case slices.ContainsFunc(outages, one.during):
			excused++
		default:
			failed = append(failed, fmt.Sprintf("%s at %s for %v: %s", one.ID, one.Began.Format("05.000"), one.Took, one.Error))
		}
	}
	t.Logf("%d requests, %d lost to what was killed, the slowest answer took %v", len(all), excused, slowest)
	if len(failed) > 0 {
		t.Errorf("%d of %d requests failed:\n%s", len(failed), len(all), strings.Join(failed[:min(len(failed), 10)], "\n"))
	}
	return all
}

func (s sent) ended() time.Time { return s.Began.Add(s.Took) }

// during reports whether a request was in flight at that time.
func (s sent) during(o outage) bool { return s.Began.Before(o.to) && s.ended().After(o.from) }

// shortest is the least time that a request has taken that was answered.
func shortest(all []sent) time.Duration {
	least := time.Duration(math.MaxInt64)
	for _, one := range all {
		if one.Error == "" {
			least = min(least, one.Took)
		}
	}
	return least
}

// firstAfter is how long it took from the beginning of an outage to the first answer to a new request.
func firstAfter(o outage, all []sent) time.Duration {
	first := time.Hour
	for _, one := range all {
		if one.Error == "" && one.Began.After(o.to) {
			first = min(first, one.ended().Sub(o.from))
		}
	}
	return first
}
