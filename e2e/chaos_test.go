//go:build e2e

package e2e

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The load under which things are killed: so many requests a second, of which one in so many takes a second, longer than the
// activator takes to look again.
const (
	chaosRate = 500
	chaosSlow = 25
)

// Whatever is killed, and however the number of instances changes, only what was in flight through what was killed is lost,
// and nothing runs twice.
func TestChaos(t *testing.T) {
	t.Parallel()
	m := bootLedger(t)
	m.scaleTo(t, "ledger", 2)
	var all []sent
	t.Run("instance killed", func(t *testing.T) { all = append(all, testChaosInstance(t, m)...) })
	t.Run("gateway killed", func(t *testing.T) { all = append(all, testChaosGateway(t, m)...) })
	t.Run("activator killed", func(t *testing.T) { all = append(all, testChaosActivator(t, m)...) })
	t.Run("scaling", func(t *testing.T) { all = append(all, testChaosScaling(t, m, 15*time.Second)...) })
	t.Run("nothing ran twice", func(t *testing.T) { checkLedger(t, m, all) })
}

// scaleTo gives a function exactly so many instances, and waits for them.
func (m *testMachine) scaleTo(t *testing.T, name string, n int) {
	t.Helper()
	m.MustRun(t, "fnctl", "scale", name, "--replicas", strconv.Itoa(n))
	eventually(t, 30*time.Second, fmt.Sprintf("%s has %d instances", name, n), func() bool {
		return m.status(t, name).areReady(n)
	})
}

// kill kills the main process of a unit, and returns when it is gone.
func (m *testMachine) kill(t *testing.T, unit string) outage {
	t.Helper()
	out := m.MustRun(t, "bash", "-c", `pid=$(systemctl show --value --property=MainPID "$1")
		echo "$EPOCHREALTIME"; kill -9 "$pid"; while kill -0 "$pid" 2>&-; do :; done; echo "$EPOCHREALTIME"`, "kill", unit)
	var times []time.Time
	for _, field := range strings.Fields(out) {
		seconds, err := strconv.ParseFloat(field, 64)
		if err != nil {
			t.Fatalf("kill %s: %v", unit, err)
		}
		times = append(times, time.UnixMicro(int64(math.Round(seconds*1e6))))
	}
	return outage{times[0], times[1]}
}

func testChaosInstance(t *testing.T, m *testMachine) []sent {
	load := m.startSteady(t, "instance", chaosRate, chaosSlow)
	var outages []outage
	for range 3 {
		victim := m.status(t, "ledger").awake()[0]
		outages = append(outages, m.kill(t, victim.Unit))
		m.scaleTo(t, "ledger", 2) // it is back
	}
	return load.stop(t, outages...)
}

func testChaosGateway(t *testing.T, m *testMachine) []sent {
	load := m.startSteady(t, "gateway", chaosRate, chaosSlow)
	var outages []outage
	for range 7 {
		outages = append(outages, m.kill(t, "fnctl-gateway.service"))
		m.waitActive(t, "fnctl-gateway.service")
		time.Sleep(500 * time.Millisecond) // what waited meanwhile is answered before the next time
	}
	all := load.stop(t, outages...)
	var back []time.Duration
	for _, o := range outages {
		back = append(back, firstAfter(o, all).Round(time.Millisecond))
	}
	slices.Sort(back)
	t.Logf("the gateway answers again after %v", back)
	// The best of them: the others are about what else the host does.
	if least := shortest(slowOnes(all)); back[0] >= least {
		t.Errorf("the gateway answers again after %v, and requests that were running take %v", back, least)
	}
	return all
}

// slowOnes are the POSTs that took a second.
func slowOnes(all []sent) []sent {
	return slices.DeleteFunc(slices.Clone(all), func(s sent) bool { return !strings.HasSuffix(s.ID, "-slow") })
}

func testChaosActivator(t *testing.T, m *testMachine) []sent {
	load := m.startSteady(t, "activator", chaosRate, chaosSlow)
	for range 3 {
		m.kill(t, "fnctl-activator.service")
		m.waitActive(t, "fnctl-activator.service")
		time.Sleep(300 * time.Millisecond) // it looks around
	}
	return load.stop(t)
}

// testChaosScaling changes the number of instances all the time.
func testChaosScaling(t *testing.T, m *testMachine, during time.Duration) []sent {
	load := m.startSteady(t, "scaling", chaosRate, chaosSlow)
	changes := 0
	for began := time.Now(); time.Since(began) < during; {
		for _, n := range []int{4, 1, 3, 2} {
			m.scaleTo(t, "ledger", n)
			changes++
		}
	}
	t.Logf("the number of instances changed %d times", changes)
	return load.stop(t)
}

// checkLedger compares what was sent with what the app has written down: once what was answered, and nothing twice.
func checkLedger(t *testing.T, m *testMachine, all []sent) {
	ran := map[string]int{}
	for id := range strings.Lines(m.MustRun(t, "cat", "/var/lib/fnctl-data/ledger/ledger")) {
		ran[strings.TrimSuffix(id, "\n")]++
	}
	posts := 0
	for _, one := range all {
		if one.ID == "" {
			continue
		}
		posts++
		switch n := ran[one.ID]; {
		case n > 1:
			t.Errorf("%s ran %d times (%s)", one.ID, n, one.Error)
		case n == 0 && one.Error == "":
			t.Errorf("%s was answered and has not run", one.ID)
		}
	}
	if posts == 0 {
		t.Error("there was no POST: that proves nothing")
	}
	t.Logf("%d POSTs", posts)
}
