//go:build e2e && soak

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

// Each command is killed after every single one of its changes.
func TestSoakCrash(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootCrash(t, suite)
			testAllKilled(t, m, killings)
			t.Run("several at once", func(t *testing.T) { testContention(t, m, newChance(t), time.Minute) })
			for _, command := range fillings {
				t.Run("full "+command.name, func(t *testing.T) { testFull(t, m, command, nil) })
			}
		})
	}
}

func testAllKilled(t *testing.T, m *testMachine, commands []killing) {
	for _, k := range commands {
		t.Run(k.name, func(t *testing.T) {
			testKilled(t, m, k, nil)
			m.settle(t)
		})
	}
}

// The same for an app in Python with a secret and an environment of its own, of which more is written.
func TestSoakCrashPython(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootCrash(t, suite)
			m.WriteFile(t, "/srv/crash/main.py", crashApp)
			m.WriteFile(t, "/srv/crash/requirements.txt", "")
			m.WriteFile(t, "/srv/crash/jcloud.yml", strings.Replace(crashConf, "command: [./hello-go]", "app: main:app", 1))
			if out := m.command(t, "echo hidden | fnctl secret crash set TOKEN && fnctl deploy"); out.Code != 0 {
				t.Fatalf("deploy: %s%s", out.Stdout, out.Stderr)
			}
			testAllKilled(t, m, killings[:3])
		})
	}
}

// crashApp answers as hello-go does, if it has its secret.
const crashApp = `
import os
os.environ["TOKEN"]
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello from " + os.environ["HOSTNAME"].encode()})
`

// The power fails again and again.
func TestSoakPowerLoss(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			testPowerLosses(t, bootCrash(t, suite), 30)
		})
	}
}
