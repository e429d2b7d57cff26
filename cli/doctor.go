package cli

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/doctor"
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
		Action: examine,
	}
}

func examine(c *cli.Context) error {
	if c.NArg() > 0 {
		return platform.UsageError(fmt.Errorf("doctor takes no argument, got %q", c.Args().First()))
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	findings := doctor.Examine(c.Context, store(), manager)
	if err := c.Context.Err(); err != nil {
		return fmt.Errorf("doctor: interrupted")
	}
	if wantsJSON(c) {
		if err := printJSON(c.App.Writer, findings); err != nil {
			return err
		}
	} else {
		printFindings(c.App.Writer, findings)
	}
	if failed := doctor.Count(findings, doctor.Error); failed > 0 {
		return fmt.Errorf("doctor: %s found, and %s", platform.Plural(failed, "error"), platform.Plural(doctor.Count(findings, doctor.Warning), "warning"))
	}
	return nil
}

var verdictMarks = map[doctor.Verdict]string{doctor.OK: "✓", doctor.Warning: "!", doctor.Error: "✗"}

func printFindings(w io.Writer, findings []doctor.Finding) {
	for _, finding := range findings {
		printFinding(w, finding.Verdict, finding.Check+": "+finding.Text, finding.Remedy)
	}
}

// printFinding prints what was found, and what to do about it if there is something.
func printFinding(w io.Writer, verdict doctor.Verdict, text, remedy string) {
	fmt.Fprintf(w, "%s %s\n", verdictMarks[verdict], text)
	if remedy != "" {
		fmt.Fprintf(w, "  → %s\n", remedy)
	}
}
