// Package public makes a machine reachable over https from everywhere, and undoes that. It knows no terminal: the caller shows a Plan, asks,
// and has it done.
package public

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/shim"
	"github.com/fnctl/fnctl/units/systemd"
)

// The units that a public machine has besides the others.
const (
	HTTPSocket  = "fnctl-gateway-http.socket"
	HTTPSSocket = "fnctl-gateway-https.socket"
	ACMEService = "fnctl-acme.service"

	gatewayService = "fnctl-gateway.service"
)

// ports are those of the units.
var ports = []struct {
	number uint16
	unit   string
}{{80, HTTPSocket}, {443, HTTPSSocket}}

// Wish is what a machine is to be like.
type Wish struct {
	// Domain is the name below which each function gets a name of its own; "": the endpoint stays.
	Domain string
	// Email is the address that authorities write to; "": that of the settings stays.
	Email string
}

// Check returns what is wrong with a wish, nil if nothing is.
func (w Wish) Check() error {
	if w.Domain != "" {
		if err := platform.CheckHost(w.Domain); err != nil {
			return fmt.Errorf("--domain: %w", err)
		}
		if !strings.Contains(w.Domain, ".") {
			return platform.WithHint(fmt.Errorf("--domain: %q has no dot: authorities sign no such name", w.Domain), "use a domain of yours, such as fn.example.com")
		}
	}
	if platform.CheckEmail(w.Email) != nil {
		return fmt.Errorf("--email: %q is no address such as ops@example.com", platform.Clip(w.Email))
	}
	return nil
}

// Plan is what is to be done, and what is to be known before.
type Plan struct {
	// Endpoint is the address of each function afterwards.
	Endpoint string `json:"endpoint"`
	// Notes say what was found.
	Notes []Note `json:"notes"`

	edits []edit
}

// Blocked reports whether something has to be done before.
func (p Plan) Blocked() bool {
	for _, note := range p.Notes {
		if note.Kind == Blocking {
			return true
		}
	}
	return false
}

// Note is something that was found.
type Note struct {
	Kind Kind   `json:"kind"`
	Text string `json:"text"`
	// Remedy says what to do about it.
	Remedy string `json:"remedy,omitempty"`
}

// Kind is what a note means for a plan.
type Kind string

// The kinds of notes.
const (
	Good     Kind = "ok"
	Advice   Kind = "warning"
	Blocking Kind = "error"
)

// Make plans, and changes nothing.
func Make(ctx context.Context, store platform.Store, units *systemd.Manager, wish Wish) (Plan, error) {
	if err := wish.Check(); err != nil {
		return Plan{}, platform.UsageError(err)
	}
	settings, err := platform.LoadSettings(store.Paths)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{Endpoint: settings.Endpoint, Notes: []Note{}}
	if wish.Domain != "" {
		p.Endpoint = "https://{name}." + wish.Domain
		p.edits = append(p.edits, edit{"endpoint", p.Endpoint})
	}
	if wish.Email != "" {
		p.edits = append(p.edits, edit{"acme.email", wish.Email})
	}
	if err := p.notePorts(ctx, units); err != nil {
		return Plan{}, err
	}
	if wish.Domain != "" {
		p.noteDNS(ctx, wish.Domain)
	}
	p.noteFirewall(ctx, units)
	return p, nil
}

func (p *Plan) note(kind Kind, remedy, format string, args ...any) {
	p.Notes = append(p.Notes, Note{Kind: kind, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// notePorts finds out who has the ports. What listens there for the gateway already is in nobody's way.
func (p *Plan) notePorts(ctx context.Context, units *systemd.Manager) error {
	for _, port := range ports {
		list, err := units.List(ctx, port.unit)
		if err != nil {
			return err
		}
		if len(list) > 0 && list[0].Active == "active" {
			p.note(Good, "", "port %d is the gateway's", port.number)
			continue
		}
		holders, err := shim.Holders(port.number)
		switch {
		case err != nil:
			return err
		case len(holders) > 0:
			p.note(Blocking, "stop it, or leave https to it (docs: https.md, a proxy in front)", "port %d is held by %s", port.number, holders[0].Name())
		default:
			p.note(Good, "", "port %d is free", port.number)
		}
	}
	return nil
}

// noteFirewall gives hints for the firewalls that the machine's distributions come with. Whether a packet comes through, only a packet tells.
func (p *Plan) noteFirewall(ctx context.Context, units *systemd.Manager) {
	for unit, remedy := range map[string]string{
		"ufw.service":       "ufw allow 80,443/tcp",
		"firewalld.service": "firewall-cmd --permanent --add-service=http --add-service=https && firewall-cmd --reload",
	} {
		list, err := units.List(ctx, unit)
		if err == nil && len(list) > 0 && list[0].Active == "active" {
			p.note(Advice, remedy, "a firewall runs (%s): ports 80 and 443 must be open", strings.TrimSuffix(unit, ".service"))
		}
	}
}

// Do makes the machine public. If that fails, all is as before.
func (p Plan) Do(ctx context.Context, store platform.Store, units *systemd.Manager) error {
	if p.Blocked() {
		return errors.New("something has to be done first")
	}
	settings, err := readSettings(store.Paths)
	if err != nil {
		return err
	}
	if err := editSettings(store.Paths, p.edits...); err != nil {
		return err
	}
	if err := open(ctx, units); err != nil {
		return errors.Join(err, settings.restore(), shut(context.WithoutCancel(ctx), units))
	}
	return nil
}

// open has the gateway get the sockets, which takes a restart: requests wait meanwhile.
func open(ctx context.Context, units *systemd.Manager) error {
	if err := units.Enable(ctx, HTTPSocket, HTTPSSocket, ACMEService); err != nil {
		return err
	}
	if err := units.Restart(ctx, gatewayService); err != nil {
		return err
	}
	for _, port := range ports {
		list, err := units.List(ctx, port.unit)
		if err != nil {
			return err
		}
		if len(list) == 0 || list[0].Active != "active" {
			return platform.WithHint(fmt.Errorf("%s does not listen", port.unit), "journalctl -u %s says why", port.unit)
		}
	}
	return units.Restart(ctx, ACMEService)
}

// shut closes what open has opened.
func shut(ctx context.Context, units *systemd.Manager) error {
	err := units.Disable(ctx, HTTPSocket, HTTPSSocket, ACMEService)
	for _, unit := range []string{ACMEService, HTTPSocket, HTTPSSocket} {
		err = errors.Join(err, units.Stop(ctx, unit))
	}
	return errors.Join(err, units.Restart(ctx, gatewayService)) // it has the sockets still
}

// Off undoes it: nothing listens to the world any more, and an endpoint of https is the default again. Certificates stay, so that another
// Do needs none.
func Off(ctx context.Context, store platform.Store, units *systemd.Manager) error {
	settings, err := platform.LoadSettings(store.Paths)
	if err != nil {
		return err
	}
	if strings.HasPrefix(settings.Endpoint, "https://") {
		if err := editSettings(store.Paths, edit{path: "endpoint"}); err != nil {
			return err
		}
	}
	return shut(ctx, units)
}
