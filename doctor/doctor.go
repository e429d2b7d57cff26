// Package doctor examines a machine: what keeps functions from working on it, and what to do about that.
package doctor

import (
	"context"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// checkTimeout bounds each check, so that one that hangs says so and the others are made.
const checkTimeout = 15 * time.Second

// Examine looks for what keeps functions from working on this machine, and changes nothing. What it cannot look at is a finding,
// too.
func Examine(ctx context.Context, store platform.Store, units *systemd.Manager) []Finding {
	e := examination{store: store, units: units, findings: []Finding{}}
	e.run(ctx)
	return e.findings
}

func (e *examination) run(ctx context.Context) {
	for _, check := range []struct {
		name string
		make func(*examination, context.Context) error
	}{
		{"systemd", (*examination).checkSystemd},
		{"control groups", (*examination).checkControlGroups},
		{"system bus", (*examination).checkBus},
		{"journal", (*examination).checkJournal},
		{"settings", (*examination).checkSettings},
		{"gateway", (*examination).checkGateway},
		{"ports", (*examination).checkPorts},
		{"https", checkHTTPS},
		{"activator", (*examination).checkActivator},
		{"disks", (*examination).checkDisks},
		{"disk quotas", (*examination).checkQuotas},
		{"network", (*examination).checkNetwork},
		{"execution", (*examination).checkExecution},
		{"permissions", (*examination).checkPermissions},
		{"secrets", (*examination).checkSecrets},
		{"kernel limits", (*examination).checkKernel},
		{"clock", (*examination).checkClock},
		{"Python", (*examination).checkPython},
		{"functions", (*examination).checkFunctions},
		{"units", (*examination).checkUnits},
		{"memory", (*examination).checkMemory},
		{"leftovers", (*examination).checkLeftovers},
	} {
		e.check = check.name
		if err := e.makeCheck(ctx, check.make); err != nil {
			e.fail("", "it could not be checked: %v", err)
		}
	}
}

func (e *examination) makeCheck(ctx context.Context, check func(*examination, context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return check(e, ctx)
}
