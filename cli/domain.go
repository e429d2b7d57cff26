package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/public"
)

func domainCommand() *cli.Command {
	return &cli.Command{
		Name:      "domain",
		Usage:     "show or change the hosts at which a function is reached",
		UsageText: "domain NAME list | add HOST… [--wait] | remove HOST… [-o json]",
		Description: "What is added is the function's at once, without a new revision, and stays through all further deploys. Hosts that its\n" +
			"jcloud.yml has are listed, too, with what the DNS says of each, and its certificate. With --wait, add returns when each\n" +
			"host has one, or says why not.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "wait", Usage: "wait until each host that was added has a certificate"},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "wait for `TIME` at most"},
			noWaitFlag(), outputFlag(),
		},
		BashComplete: completeDomains,
		Action:       domain,
	}
}

// completeDomains completes the name of a function, then what can be done with its hosts.
func completeDomains(c *cli.Context) {
	completeFunctions(c)
	if c.NArg() == 1 {
		fmt.Fprintln(c.App.Writer, "list\nadd\nremove")
	}
}

func domain(c *cli.Context) error {
	name, verb, hosts := c.Args().Get(0), c.Args().Get(1), c.Args().Slice()
	usage := func(format string, args ...any) error {
		return platform.WithHint(platform.UsageError(fmt.Errorf(format, args...)), "usage: %s", c.Command.UsageText)
	}
	switch {
	case name == "":
		return usage("domain: NAME is missing")
	case verb == "list" && len(hosts) == 2:
		return listDomains(c, name)
	case verb == "list":
		return usage("domain NAME list takes no host, got %q", hosts[2])
	case verb == "":
		return usage("domain NAME: list, add or remove is missing")
	case verb != "add" && verb != "remove":
		return usage("domain: %q is neither list, add nor remove", platform.Clip(verb))
	case len(hosts) == 2:
		return usage("domain NAME %s: HOST is missing", verb)
	}
	hosts = hosts[2:]
	for i, host := range hosts {
		hosts[i] = lowerHost(host)
	}
	err := changeDeployed(c, name, func(function *deploy.Function) error {
		if verb == "add" {
			return deploy.Domains{Function: function}.Add(hosts)
		}
		return deploy.Domains{Function: function}.Remove(hosts)
	})
	if err == nil && verb == "add" && c.Bool("wait") {
		err = awaitCertificates(c, hosts)
	}
	if err != nil {
		return err
	}
	return listDomains(c, name)
}

// lowerHost is a rule with its host in lower case. A path stays as it is written.
func lowerHost(rule string) string {
	host, path, has := strings.Cut(rule, "/")
	if !has {
		return strings.ToLower(host)
	}
	return strings.ToLower(host) + "/" + path
}

// shownDomain is what "fnctl domain NAME list -o json" prints of each host. Its fields are an interface that scripts use.
type shownDomain struct {
	Host string `json:"host"`
	// From is endpoint, jcloud.yml or domain.
	From string `json:"from"`
	// DNS is where the host is; nil: the DNS did not answer, or nobody can ask, as for *.NAME.
	DNS *public.Direction `json:"dns"`
	// Certificate is the host's; nil: it has none.
	Certificate *shownCertificate `json:"certificate"`
	// Error is why it has none, or why the next one was not got yet.
	Error string `json:"error,omitempty"`
}

type shownCertificate struct {
	Until  time.Time           `json:"until"`
	Origin certificates.Origin `json:"origin"`
}

func listDomains(c *cli.Context, name string) error {
	if err := checkDeployed(name); err != nil {
		return err
	}
	settings, err := platform.LoadSettings(paths())
	if err != nil {
		return err
	}
	route, err := store().Route(name)
	if err != nil {
		return platform.WithRouteHint(err, name)
	}
	status, _ := certificates.ReadStatus(paths()) // it says why, where there is something to say
	list := []shownDomain{}
	if !route.Private {
		list = append(list, shownDomain{Host: settings.HostOf(name), From: "endpoint"})
	}
	for _, host := range route.AllHosts() {
		from := "jcloud.yml"
		if !slices.Contains(route.Hosts, host) {
			from = "domain"
		}
		list = append(list, shownDomain{Host: host, From: from})
	}
	var looking sync.WaitGroup // the DNS may take its time
	for i := range list {
		looking.Go(func() { list[i].look(c.Context, status) })
	}
	looking.Wait()
	if wantsJSON(c) {
		return printJSON(c.App.Writer, list)
	}
	printDomains(c.App.Writer, list)
	return nil
}

// look finds out what there is to know of a host.
func (d *shownDomain) look(ctx context.Context, status certificates.Status) {
	rule, err := platform.ParseHostRule(d.Host)
	if err != nil || rule.Host == platform.AnyHost {
		return
	}
	if _, wild := rule.Below(); !wild && !certificates.IsLocal(rule.Host) {
		if to, err := public.Lookup(ctx, rule.Host); err == nil {
			d.DNS = &to
		}
	}
	known, _ := status.Of(rule.Host)
	d.Error = known.Error
	if pair, err := certificates.StoreOf(paths()).Read(rule.Host); err == nil {
		d.Certificate = &shownCertificate{Until: pair.Leaf().NotAfter.UTC(), Origin: pair.Origin}
	}
}

func printDomains(w io.Writer, list []shownDomain) {
	t := newTable(w)
	t.AppendHeader(table.Row{"Host", "From", "DNS", "Certificate"})
	for _, d := range list {
		t.AppendRow(table.Row{d.Host, d.From, dnsText(d.DNS), certificateText(d.Certificate, time.Now())})
	}
	t.Render()
	for _, d := range list {
		if d.Error != "" {
			fmt.Fprintf(w, "%s: %s\n", d.Host, d.Error)
		}
	}
}

func dnsText(d *public.Direction) string {
	switch {
	case d == nil:
		return "–"
	case len(d.Addresses) == 0:
		return "no such host"
	case d.Here:
		return "this machine"
	default:
		return d.Addresses[0].String()
	}
}

func certificateText(c *shownCertificate, now time.Time) string {
	switch {
	case c == nil:
		return "none"
	case now.After(c.Until):
		return "expired on " + c.Until.Format(time.DateOnly)
	}
	return fmt.Sprintf("until %s (%s)", c.Until.Format(time.DateOnly), platform.Plural(int(c.Until.Sub(now).Hours()/24), "day"))
}

// awaitCertificates waits until hosts have certificates, those of which one can be made.
func awaitCertificates(c *cli.Context, hosts []string) error {
	if _, err := certificates.ReadStatus(paths()); errors.Is(err, fs.ErrNotExist) {
		return platform.WithHint(errors.New("nothing makes certificates on this machine"), "fnctl public does")
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	from := certificates.StoreOf(paths())
	for _, host := range hosts {
		rule, err := platform.ParseHostRule(host)
		if err != nil || rule.Host == platform.AnyHost {
			continue
		}
		for {
			_, err := from.Read(rule.Host)
			if err == nil {
				break
			}
			if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err := c.Context.Err(); err != nil {
				return errors.New("interrupted: the host is the function's already")
			}
			if ctx.Err() != nil {
				return platform.WithHint(fmt.Errorf("%s has no certificate after %v%s", rule.Host, c.Duration("timeout"), whyNot(rule.Host)), "journalctl -u fnctl-acme")
			}
			platform.Sleep(ctx, 200*time.Millisecond)
		}
	}
	return nil
}

// whyNot is what is known of why a host has no certificate.
func whyNot(host string) string {
	status, _ := certificates.ReadStatus(paths())
	if known, _ := status.Of(host); known.Error != "" {
		return ": " + known.Error
	}
	return ""
}
