package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Usage:     "look for what keeps functions from working on this machine",
		UsageText: "doctor [-o json]",
		Description: "It looks at systemd, control groups, the gateway and the activator, disks, Python, the clock, permissions, secrets, limits\n" +
			"of the kernel, and at each function, and says what to do about what it finds. It changes nothing. The exit status\n" +
			"is 1 if something does not work; warnings are about what may not work one day. Some of it only root can see.",
		Flags:  []cli.Flag{outputFlag()},
		Action: doctor,
	}
}

func doctor(c *cli.Context) error {
	if c.NArg() > 0 {
		return platform.UsageError(fmt.Errorf("doctor takes no argument, got %q", c.Args().First()))
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	e := examination{paths: paths(), store: store(), units: manager, findings: []finding{}}
	e.run(c.Context)
	if err := c.Context.Err(); err != nil {
		return fmt.Errorf("doctor: interrupted")
	}
	if wantsJSON(c) {
		if err := printJSON(c.App.Writer, e.findings); err != nil {
			return err
		}
	} else {
		printFindings(c.App.Writer, e.findings)
	}
	if failed := e.count(verdictError); failed > 0 {
		return fmt.Errorf("doctor: %s found, and %s", platform.Plural(failed, "error"), platform.Plural(e.count(verdictWarning), "warning"))
	}
	return nil
}

// verdict is how bad a finding is.
type verdict string

const (
	verdictOK      verdict = "ok"
	verdictWarning verdict = "warning"
	verdictError   verdict = "error"
)

// finding is what "fnctl doctor -o json" prints of each thing. Its fields are an interface that scripts use.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Text    string  `json:"text"`
	// Remedy says what to do.
	Remedy string `json:"remedy,omitempty"`
}

// checkTimeout bounds each check, so that one that hangs says so and the others are made.
const checkTimeout = 15 * time.Second

// examination makes the checks one after the other and gathers what they find.
type examination struct {
	paths    platform.Paths
	store    platform.Store
	units    *systemd.Manager
	check    string // that is being made
	findings []finding
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
		{"activator", (*examination).checkActivator},
		{"disks", (*examination).checkDisks},
		{"disk quotas", (*examination).checkQuotas},
		{"permissions", (*examination).checkPermissions},
		{"secrets", (*examination).checkSecrets},
		{"kernel limits", (*examination).checkKernel},
		{"clock", (*examination).checkClock},
		{"Python", (*examination).checkPython},
		{"functions", (*examination).checkFunctions},
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

func (e *examination) ok(format string, args ...any) { e.add(verdictOK, "", format, args) }

func (e *examination) warn(remedy, format string, args ...any) {
	e.add(verdictWarning, remedy, format, args)
}

func (e *examination) fail(remedy, format string, args ...any) {
	e.add(verdictError, remedy, format, args)
}

func (e *examination) add(verdict verdict, remedy, format string, args []any) {
	e.findings = append(e.findings, finding{Check: e.check, Verdict: verdict, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

func (e *examination) count(verdict verdict) int {
	n := 0
	for _, finding := range e.findings {
		if finding.Verdict == verdict {
			n++
		}
	}
	return n
}

var verdictMarks = map[verdict]string{verdictOK: "✓", verdictWarning: "!", verdictError: "✗"}

func printFindings(w io.Writer, findings []finding) {
	for _, finding := range findings {
		fmt.Fprintf(w, "%s %s: %s\n", verdictMarks[finding.Verdict], finding.Check, finding.Text)
		if finding.Remedy != "" {
			fmt.Fprintf(w, "  → %s\n", finding.Remedy)
		}
	}
}
