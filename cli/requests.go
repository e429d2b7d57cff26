package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/accesslog"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

// around is how much of an instance's log is shown before and after a request: journald stamps the lines of an app when it
// gets them.
const around = 100 * time.Millisecond

// showRequests prints the access log: of a function, a revision or all, and one request, or all.
func showRequests(c *cli.Context, function string, revision platform.RevisionID, id string) error {
	printer := requestPrinter{w: c.App.Writer, json: wantsJSON(c)}
	args := append(journalRange(c), accesslog.Matches(function, id)...)
	if revision.Number > 0 {
		args = append(args, "FNCTL_REVISION="+revision.String())
	}
	err := journal.Read(c.Context, c.App.ErrWriter, args, func(entry accesslog.Entry) error {
		return printer.next(accesslog.Request(entry))
	})
	switch {
	case c.Context.Err() != nil:
		return nil // following ends with an interrupt
	case err == nil && printer.count == 0:
		return noRequests(c, function, id)
	}
	return err
}

// requestPrinter prints requests one by one: there may be a million.
type requestPrinter struct {
	w     io.Writer
	json  bool
	count int
}

func (p *requestPrinter) next(r accesslog.Request) error {
	p.count++
	if p.json {
		return printJSONLine(p.w, r)
	}
	if p.count == 1 {
		fmt.Fprintln(p.w, requestHeader)
	}
	_, err := fmt.Fprintln(p.w, requestLine(r))
	return err
}

// noRequests distinguishes a request that is not known from a function without requests.
func noRequests(c *cli.Context, function, id string) error {
	const hint = "gateway.access_log in /etc/fnctl/fnctl.yml says which requests are logged; root and the group systemd-journal see all of the journal"
	switch {
	case id != "":
		return platform.WithHint(fmt.Errorf("the journal has no request %s", id), hint)
	case function == "":
		printWarning(c.App.ErrWriter, platform.WithHint(errors.New("there are no requests"), hint))
	case !store().Has(function):
		return platform.NoFunction(function)
	default:
		printWarning(c.App.ErrWriter, platform.WithHint(fmt.Errorf("there are no requests of %s", function), hint))
	}
	return nil
}

// showRequest prints what the gateway says of a request and, if the access log has it, what its instance and systemd said
// meanwhile.
func showRequest(c *cli.Context, function, id string) error {
	said := accesslog.GatewayMatches(function, id)
	entry, logged, err := lastEntry[accesslog.Entry](c, accesslog.Matches(function, id))
	if err != nil {
		return err
	}
	if logged {
		return showJournal(c, aroundRequest(c, accesslog.Request(entry), said))
	}
	_, known, err := lastEntry[journal.Entry](c, said)
	if err != nil {
		return err
	}
	if !known {
		return noRequests(c, function, id)
	}
	return showJournal(c, append(journalRange(c), said...))
}

// aroundRequest asks journalctl for what was said by the gateway of a request, and by its instance and systemd meanwhile.
func aroundRequest(c *cli.Context, r accesslog.Request, said []string) []string {
	until := r.Ended().Add(around)
	if r.Logged.After(until) {
		until = r.Logged.Time
	}
	args := []string{"--since=" + journalStamp(r.Time.Add(-around)), "--until=" + journalStamp(until)}
	if c.IsSet("lines") {
		args = append(args, linesFlag(c.Int("lines")))
	}
	args = append(args, said...)
	if r.Instance == "" {
		return args
	}
	unit := "fn-" + r.Instance + ".service"
	return append(args, "+", "_SYSTEMD_UNIT="+unit, "+", "_PID=1", "UNIT="+unit)
}

// lastEntry finds the last entry of the time that is asked for: a client may give one id to several requests.
func lastEntry[E any](c *cli.Context, matches []string) (last E, found bool, err error) {
	args := []string{"--reverse"}
	if since := c.String("since"); since != "" {
		args = append(args, "--since="+since)
	}
	err = journal.Read(c.Context, c.App.ErrWriter, append(args, matches...), func(entry E) error {
		last, found = entry, true
		return journal.ErrStop
	})
	return last, found, err
}

// journalStamp is a time as journalctl takes it.
func journalStamp(t time.Time) string {
	return fmt.Sprintf("@%d.%06d", t.Unix(), t.Nanosecond()/int(time.Microsecond))
}
