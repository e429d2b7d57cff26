package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/doctor"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/public"
	"github.com/fnctl/fnctl/units/systemd"
)

func publicCommand() *cli.Command {
	return &cli.Command{
		Name:      "public",
		Usage:     "let functions be reached over https from everywhere",
		UsageText: "public [--domain DOMAIN] [--email ADDRESS] [--yes] [--dry-run] [-o json] | public --off",
		Description: "The gateway listens on the ports 80 and 443, too, certificates are made and renewed by themselves, and visitors of\n" +
			"port 80 are sent to https. With a domain, each function is at https://NAME.DOMAIN; hosts of its own that its jcloud.yml\n" +
			"has are served in any case. It says what it has found and asks before it changes anything. The gateway restarts once:\n" +
			"requests wait meanwhile. --off closes the ports again; certificates stay for the next time.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "domain", Usage: "`DOMAIN` below which each function gets a name: its DNS must lead to this machine, for *.DOMAIN"},
			&cli.StringFlag{Name: "email", Usage: "`ADDRESS` that certificate authorities may write to"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "don't ask"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what was found, and change nothing"},
			&cli.BoolFlag{Name: "off", Usage: "undo it"},
			outputFlag(),
		},
		Action: makePublic,
	}
}

func makePublic(c *cli.Context) error {
	if c.NArg() > 0 {
		return platform.UsageError(fmt.Errorf("public takes no argument, got %q", c.Args().First()))
	}
	manager := &systemd.Manager{}
	defer manager.Close()
	if c.Bool("off") {
		return endPublic(c, manager)
	}
	plan, err := public.Make(c.Context, store(), manager, public.Wish{Domain: c.String("domain"), Email: c.String("email")})
	if err != nil {
		return err
	}
	switch {
	case wantsJSON(c):
		if err := printJSON(c.App.Writer, plan); err != nil {
			return err
		}
	default:
		printPlan(c.App.Writer, plan)
	}
	switch {
	case plan.Blocked():
		return platform.WithHint(errors.New("public: something has to be done first"), "do what it says above, then run it again")
	case c.Bool("dry-run"):
		return nil
	}
	if yes, err := agrees(c); err != nil || !yes {
		return err
	}
	if err := plan.Do(c.Context, store(), manager); err != nil {
		return fmt.Errorf("public: %w", err)
	}
	if !wantsJSON(c) {
		printDone(c.App.Writer, plan)
	}
	return nil
}

func printDone(w io.Writer, plan public.Plan) {
	if at := (platform.Settings{Endpoint: plan.Endpoint}).EndpointOf("NAME"); strings.HasPrefix(at, "https://") {
		fmt.Fprintf(w, "Each function is at %s, and at hosts of its own.\n", at)
	} else {
		fmt.Fprintln(w, "Functions are served at hosts of their own: fnctl domain NAME add HOST. With --domain, each has a name below that, too.")
	}
	fmt.Fprintln(w, "A certificate is made for each host once a function has it; fnctl doctor says how that goes.")
}

// agrees asks, unless that is answered already.
func agrees(c *cli.Context) (bool, error) {
	switch {
	case c.Bool("yes"):
		return true, nil
	case !isTerminal(os.Stdin):
		return false, platform.WithHint(errors.New("public: nobody is there to ask"), "--yes asks nothing")
	}
	return confirm(c.Context, os.Stdin, c.App.ErrWriter, "Open the ports 80 and 443?")
}

func endPublic(c *cli.Context, manager *systemd.Manager) error {
	if err := public.Off(c.Context, store(), manager); err != nil {
		return fmt.Errorf("public --off: %w", err)
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, struct{}{})
	}
	fmt.Fprintln(c.App.Writer, "Nothing listens on the ports 80 and 443 any more. Certificates stay for the next time.")
	return nil
}

var verdicts = map[public.Kind]doctor.Verdict{public.Good: doctor.OK, public.Advice: doctor.Warning, public.Blocking: doctor.Error}

func printPlan(w io.Writer, plan public.Plan) {
	for _, note := range plan.Notes {
		printFinding(w, verdicts[note.Kind], note.Text, note.Remedy)
	}
}
