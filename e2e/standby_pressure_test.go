//go:build e2e

package e2e

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Memory that is short evicts what sleeps, and no request fails for it. TestStandbyUnderPressure has the same with memory that is short indeed.
func TestStandbyPressure(t *testing.T) {
	t.Parallel()
	m := bootInstalled(t, machine.Bookworm)
	m.deploy(t, "ping", sleepy, "main:app")
	m.deploy(t, "echo", "", "main:app")
	t.Run("the kernel tells", func(t *testing.T) { testKernelTells(t, m) })
	t.Run("short of memory", func(t *testing.T) { testShortOfMemory(t, m) })
}

// In its sandbox the activator may have the kernel tell it, or says that it may not.
func testKernelTells(t *testing.T, m *testMachine) {
	open := m.MustRun(t, "sh", "-c", "ls -l /proc/$(systemctl show --value -p MainPID fnctl-activator)/fd")
	log := m.MustRun(t, "journalctl", "--no-pager", "--output=cat", "--unit=fnctl-activator")
	tells, told := strings.Contains(open, "/proc/pressure/memory"), strings.Contains(log, "does not tell of memory pressure")
	_, err := m.Run(t.Context(), "test", "-s", "/proc/pressure/memory")
	switch {
	case err != nil && !tells && told: // this kernel has none
	case !tells || told:
		t.Errorf("it has not opened the file:\n%s%s", open, log)
	}
}

// The machine has little left, as the activator is given to see: what sleeps goes, and what is awake answers on.
func testShortOfMemory(t *testing.T, m *testMachine) {
	m.mustGet(t, pingAt)
	asleep, _ := m.waitAsleep(t, "ping")
	m.WriteFile(t, "/srv/meminfo", "MemTotal: 4000000 kB\nMemFree: 1 kB\nMemAvailable: 390000 kB\n")
	m.MustRun(t, "mkdir", "-p", "/run/systemd/system/fnctl-activator.service.d")
	m.WriteFile(t, "/run/systemd/system/fnctl-activator.service.d/meminfo.conf", "[Service]\nBindReadOnlyPaths=/srv/meminfo:/proc/meminfo\n")
	traffic := m.startTraffic(t, "http://echo.localhost:8080/headers", 2)
	m.restartActivator(t)
	eventually(t, 10*time.Second, "what sleeps is evicted for the machine's memory", func() bool { return m.evictions(t, "memory") == 1 })
	m.waitZero(t, "ping", 10*time.Second)
	m.mustGet(t, pingAt)
	traffic.stop(t)
	if lines := m.MustRun(t, "journalctl", "-u", asleep.Unit, "-o", "cat"); strings.Contains(lines, "timed out") || strings.Contains(lines, "oom") {
		t.Errorf("it did not end by itself:\n%s", lines)
	}
}

// activatorMetric is a metric of the activator, 0 if it has none of these labels yet.
func (m *testMachine) activatorMetric(t *testing.T, series string) float64 {
	t.Helper()
	page := m.MustRun(t, "curl", "-sf", "--unix-socket", "/run/fnctl/activator.sock", "http://localhost/metrics")
	for line := range strings.Lines(page) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	return 0
}

// evictions are those for one of some reasons.
func (m *testMachine) evictions(t *testing.T, reasons ...string) (sum float64) {
	t.Helper()
	for _, reason := range reasons {
		sum += m.activatorMetric(t, `fnctl_activator_evictions_total{reason="`+reason+`"}`)
	}
	return sum
}
