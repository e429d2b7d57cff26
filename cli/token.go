package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
	"github.com/fnctl/fnctl/platform/keys"
)

func tokenCommand() *cli.Command {
	return &cli.Command{
		Name:      "token",
		Usage:     "list, create or revoke the tokens with which clients come in to a function",
		UsageText: "token NAME list | create LABEL [--expires TIME] | revoke LABEL… [-o json]",
		Description: "A token is for a function with \"auth: {token: true}\" in jcloud.yml: clients send it as Authorization: Bearer TOKEN.\n" +
			"create prints it once; only its hash is kept. A change takes effect at once, and holds through all further deploys.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "expires", Usage: "`TIME` until a new token is not valid any more, such as 30d or 12h"},
			noWaitFlag(), outputFlag(),
		},
		BashComplete: completeTokens,
		Action:       manageTokens,
	}
}

func completeTokens(c *cli.Context) {
	switch c.NArg() {
	case 0:
		printFunctions(c)
	case 1:
		for _, verb := range []string{"list", "create", "revoke"} {
			fmt.Fprintln(c.App.Writer, verb)
		}
	default:
		if c.Args().Get(1) != "revoke" {
			return
		}
		tokens, _ := auth.ReadTokens(paths(), c.Args().First())
		for _, t := range tokens {
			fmt.Fprintln(c.App.Writer, t.Label)
		}
	}
}

func manageTokens(c *cli.Context) error {
	if c.NArg() < 2 {
		return tokenUsage(c, "NAME and list, create or revoke are needed")
	}
	name, verb, labels := c.Args().Get(0), c.Args().Get(1), c.Args().Slice()[2:]
	do := map[string]func(*cli.Context, string, []string) error{"list": listTokens, "create": createToken, "revoke": revokeTokens}[verb]
	switch {
	case do == nil:
		return tokenUsage(c, "there is no %q: use list, create or revoke", verb)
	case c.IsSet("expires") && verb != "create":
		return platform.UsageError(errors.New("token: --expires is for create"))
	case verb == "list" && len(labels) > 0, verb == "create" && len(labels) > 1:
		return platform.UsageError(fmt.Errorf("token: %s takes nothing more, got %q", verb, labels[len(labels)-1]))
	case verb != "list" && len(labels) == 0:
		return tokenUsage(c, "LABEL is missing")
	}
	if err := checkDeployed(name); err != nil {
		return err
	}
	if err := requireRoot(c.Command.Name); err != nil {
		return err
	}
	return do(c, name, labels)
}

func tokenUsage(c *cli.Context, format string, args ...any) error {
	return platform.WithHint(platform.UsageError(fmt.Errorf("token: "+format, args...)), "usage: %s", c.Command.UsageText)
}

// shownToken is what "fnctl token" prints with -o json. Its fields are an interface that scripts use.
type shownToken struct {
	Label   string    `json:"label"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Expired bool      `json:"expired,omitempty"`
	// Token is there only of one that was just made.
	Token string `json:"token,omitempty"`
}

func showToken(t auth.Token, text string) shownToken {
	return shownToken{Label: t.Label, Created: t.Created, Expires: t.Expires, Expired: t.Expired(time.Now()), Token: text}
}

func listTokens(c *cli.Context, name string, _ []string) error {
	tokens, err := auth.ReadTokens(paths(), name)
	if err != nil {
		return err
	}
	list := []shownToken{}
	for _, t := range tokens {
		list = append(list, showToken(t, ""))
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, list)
	}
	if len(list) == 0 {
		fmt.Fprintln(c.App.Writer, "No tokens")
		return nil
	}
	t := newTable(c.App.Writer)
	t.AppendHeader(table.Row{"Label", "Created", "Expires"})
	for _, one := range list {
		t.AppendRow(table.Row{one.Label, one.Created.Format(time.DateOnly), expiry(one)})
	}
	t.Render()
	return nil
}

func expiry(t shownToken) string {
	switch {
	case t.Expires.IsZero():
		return "never"
	case t.Expired:
		return t.Expires.Format(time.DateOnly) + " (expired)"
	}
	return t.Expires.Format(time.DateTime)
}

func createToken(c *cli.Context, name string, labels []string) error {
	now := time.Now().UTC().Truncate(time.Second)
	var expires time.Time
	if given := c.String("expires"); given != "" {
		after, err := parseExpiry(given)
		if err != nil {
			return platform.UsageError(err)
		}
		expires = now.Add(after)
	}
	return withFunction(c, name, func(f *deploy.Function) error {
		tokens := deploy.Tokens{Function: f}
		text, made, err := tokens.Create(labels[0], now, expires)
		if err != nil {
			return err
		}
		if !tokens.AreAsked() {
			asks := fmt.Errorf("%s asks for no tokens", name)
			printWarning(c.App.ErrWriter, platform.WithHint(asks, "\"auth: {token: true}\" in its jcloud.yml, and deploy it again"))
		}
		if wantsJSON(c) {
			return printJSON(c.App.Writer, showToken(made, text))
		}
		_, err = fmt.Fprintln(c.App.Writer, text)
		fmt.Fprintln(c.App.ErrWriter, "it is not shown again; clients send it as Authorization: Bearer TOKEN")
		return err
	})
}

// maxExpiry is in effect for ever.
const maxExpiry = 100 * 365 * keys.Day

// parseExpiry reads a time from now on, also in days.
func parseExpiry(text string) (time.Duration, error) {
	number, unit := text, time.Duration(1)
	if days, is := strings.CutSuffix(text, "d"); is {
		number, unit = days+"h", 24
	}
	d, err := time.ParseDuration(number)
	if err != nil || d < time.Second || d > maxExpiry/unit {
		return 0, fmt.Errorf("token: --expires must be a time such as 30d or 12h, got %s", keys.Quote(text))
	}
	return d * unit, nil
}

func revokeTokens(c *cli.Context, name string, labels []string) error {
	return withFunction(c, name, func(f *deploy.Function) error {
		if err := (deploy.Tokens{Function: f}).Revoke(labels); err != nil {
			return err
		}
		if wantsJSON(c) {
			return listTokens(c, name, nil)
		}
		_, err := fmt.Fprintf(c.App.Writer, "revoked %s of %s\n", strings.Join(labels, ", "), name)
		return err
	})
}
