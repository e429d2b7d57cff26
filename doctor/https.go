package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/public"
)

// soon is how long before its end a certificate should have been renewed: much later than one is renewed when all is well.
const soon = 7 * 24 * time.Hour

// checkHTTPS looks at a machine that serves the world: its ports, and the certificate of each host that a route has.
func checkHTTPS(e *examination, ctx context.Context) error {
	on := 0
	for _, unit := range []string{public.HTTPSocket, public.HTTPSSocket} {
		list, err := e.units.List(ctx, unit)
		switch {
		case err != nil:
			return err
		case len(list) == 0 || list[0].Active == "inactive":
			continue
		case list[0].Active == "failed":
			e.fail("does another program have the port? ss -ltnp; then systemctl restart fnctl-gateway", "%s has failed", unit)
		}
		on++
	}
	if on == 0 {
		e.ok("off; fnctl public serves the world")
		return nil
	}
	service, err := e.units.Service(ctx, public.ACMEService)
	if err != nil {
		return err
	}
	if service.MainPID == 0 {
		e.fail("systemctl enable --now "+public.ACMEService+"; journalctl -u "+public.ACMEService, "%s does not run: no certificate is made or renewed", public.ACMEService)
	}
	return (&certificateCheck{examination: e, now: time.Now()}).run()
}

// certificateCheck looks at the certificates of all hosts.
type certificateCheck struct {
	*examination
	now    time.Time
	status certificates.Status // what the service says of them
}

func (e *certificateCheck) run() error {
	settings, err := platform.LoadSettings(e.store.Paths)
	if err != nil {
		return nil // said already
	}
	names, err := e.store.Functions()
	if err != nil {
		return err
	}
	var routes []platform.Route
	for _, name := range names {
		if route, err := e.store.Route(name); err == nil { // or it is said elsewhere
			routes = append(routes, route)
		}
	}
	if e.status, err = certificates.ReadStatus(e.store.Paths); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if status := e.status; status.Paused != nil {
		e.warn("journalctl -u "+public.ACMEService, "no authority is asked before %s: %s", status.Paused.Until.Local().Format(time.DateTime), status.Paused.Error)
	}
	wanted, good := certificates.Wanted(settings, routes), 0
	for _, host := range wanted {
		pair, err := certificates.StoreOf(e.store.Paths).Read(host)
		if errors.Is(err, fs.ErrPermission) {
			e.ok("only root can look at certificates")
			return nil
		}
		if e.isWell(host, pair, err) {
			good++
		}
	}
	if good == len(wanted) {
		e.ok("%s, each with a certificate", platform.Plural(good, "host"))
	}
	return nil
}

// isWell reports whether all is well with the certificate of a host.
func (e *certificateCheck) isWell(host string, pair *certificates.Pair, err error) bool {
	now := e.now
	known, _ := e.status.Of(host)
	why := "journalctl -u " + public.ACMEService
	said := ""
	if known.Error != "" {
		said = ": " + known.Error
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && known.State != certificates.StateFailed && said == "":
		e.warn("it comes within a minute or two; "+why, "%s has no certificate yet", host)
	case errors.Is(err, fs.ErrNotExist):
		e.fail(why, "%s has no certificate%s%s", host, said, nextTry(known))
	case err != nil:
		e.fail("systemctl restart "+public.ACMEService, "%v", err)
	case pair.Expired(now):
		e.fail(why, "the certificate of %s has expired on %s%s%s", host, pair.Leaf().NotAfter.Format(time.DateOnly), said, nextTry(known))
	case now.Before(pair.Leaf().NotBefore):
		e.fail("timedatectl: is the clock right?", "the certificate of %s is valid from %s on", host, pair.Leaf().NotBefore.Format(time.DateTime))
	case pair.Leaf().NotAfter.Sub(now) < soon && pair.Leaf().NotAfter.Sub(now) < pair.Leaf().NotAfter.Sub(pair.Leaf().NotBefore)/4:
		e.warn(why, "the certificate of %s ends on %s and was not renewed%s%s", host, pair.Leaf().NotAfter.Format(time.DateTime), said, nextTry(known))
	default:
		return true
	}
	return false
}

func nextTry(h certificates.HostStatus) string {
	if h.NextTry.IsZero() {
		return ""
	}
	return fmt.Sprintf(" (it is tried again at %s)", h.NextTry.Local().Format(time.DateTime))
}
