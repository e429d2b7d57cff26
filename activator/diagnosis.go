package activator

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// diagnoseTimeout bounds the questions to systemd about one failure.
	diagnoseTimeout = 5 * time.Second
	// endingTries and endingPause are how often, and at what interval, systemd is asked how a service ended that it starts
	// again. A service that can be run at all pauses before that.
	endingTries = 100
	endingPause = 5 * time.Millisecond
)

// diagnosis is why an instance came to nothing.
type diagnosis struct {
	id platform.InstanceID
	// askedAt is when systemd was asked.
	askedAt time.Time
	// consecutive is how many starts in a row came to nothing.
	consecutive int
	// noSocket is true if the socket could not be made, so that no service was started.
	noSocket bool
	// damaged is true if the instance's copy of the app lacks files.
	damaged bool
	// late is true if it was ended because it accepted nothing within its time.
	late bool
	// explanation is why, in words; empty if systemd does not know any more.
	explanation string
}

// text is the explanation as the failure notice has it.
func (d diagnosis) text() string {
	explanation := cmp.Or(d.explanation, "it ended at once")
	if d.consecutive > 1 {
		return fmt.Sprintf("%s, %d times in a row", explanation, d.consecutive)
	}
	return explanation
}

// diagnoser asks systemd why instances came to nothing, each in a goroutine beside the loop, and sends what it found. It
// has no other state.
type diagnoser struct {
	units   Units
	store   platform.Store
	log     *slog.Logger
	running *sync.WaitGroup
	found   chan diagnosis
}

func newDiagnoser(units Units, store platform.Store, running *sync.WaitGroup, log *slog.Logger) *diagnoser {
	return &diagnoser{units: units, store: store, log: log, running: running, found: make(chan diagnosis)}
}

// diagnose asks about one instance. arming is that of its revision.
func (d *diagnoser) diagnose(ctx context.Context, i *instance, arming arming) {
	result := diagnosis{id: i.id, askedAt: time.Now(), consecutive: i.consecutive, noSocket: !i.listens() && arming.failures > 0, late: i.late > 0}
	listens, problem, late := i.listens(), i.problem, i.late
	d.running.Go(func() {
		bounded, cancel := context.WithTimeout(ctx, diagnoseTimeout)
		defer cancel()
		result.damaged = !result.noSocket && d.store.WorkdirDamaged(result.id)
		filter := d.explainNetwork(bounded, result.id.Revision)
		switch {
		case filter != "":
			result.explanation = filter
		case late > 0: // systemd only knows how it was ended then
			result.explanation = fmt.Sprintf("it has accepted nothing for %s (start_timeout)", late)
		case listens:
			result.explanation = cmp.Or(d.explainService(bounded, result.id), problem)
		default:
			result.explanation = d.explainSocket(bounded, result, problem)
		}
		send(ctx, d.found, result)
	})
}

// explainNetwork returns in words that instances of a revision are kept from starting because they could not be kept out of private
// networks, or "" if they are not.
func (d *diagnoser) explainNetwork(ctx context.Context, id platform.RevisionID) string {
	rev, err := d.store.Revision(id)
	if err != nil || rev.Config.Network != platform.NetworkInternet {
		return ""
	}
	if filter, err := d.units.Service(ctx, platform.InternetUnit); err != nil || filter.Active == "active" {
		return ""
	}
	return "network: internet: this machine cannot keep it out of private networks: see journalctl -u " + platform.InternetUnit
}

// explainService returns in words why a service that systemd started came to nothing, or "" if systemd has forgotten it, or
// does not say.
func (d *diagnoser) explainService(ctx context.Context, id platform.InstanceID) string {
	service, err := d.ended(ctx, id.Service())
	switch {
	case err != nil:
		d.log.Warn("ask why an instance came to nothing", "instance", id.String(), "err", err)
		return ""
	case service.Load != "loaded":
		return explainUnusable(service, id.Service())
	case !service.Ended:
		return "" // it was replaced
	}
	return service.Ending()
}

// explainSocket returns in words why a socket doesn't listen. problem is the error of the last action on it.
func (d *diagnoser) explainSocket(ctx context.Context, about diagnosis, problem string) string {
	service, err := d.units.Service(ctx, about.id.Service())
	if err == nil && service.Load != "loaded" {
		return explainUnusable(service, about.id.Service())
	}
	socket := about.id.Socket()
	result, err := d.units.SocketResult(ctx, socket)
	switch {
	case err == nil && result == "trigger-limit-hit":
		return d.explainService(ctx, about.id)
	case err == nil && result != "success" && about.noSocket:
		return fmt.Sprintf("the socket cannot be made (%s): see journalctl -u %s", result, socket)
	case err == nil && result != "success":
		return fmt.Sprintf("systemd cannot start it (%s): see journalctl -u %s", result, socket)
	case problem != "":
		return problem
	}
	return "there is no socket: see journalctl -u " + socket
}

// explainUnusable returns in words why systemd cannot use a unit.
func explainUnusable(service platform.ServiceStatus, unit string) string {
	return fmt.Sprintf("the unit %s is %s", unit, service.Load)
}

// ended returns how a service ended. systemd cannot report the end of a service that it starts again already, so it may
// have to be asked several times.
func (d *diagnoser) ended(ctx context.Context, unit string) (service platform.ServiceStatus, err error) {
	for range endingTries {
		service, err = d.units.Service(ctx, unit)
		if err != nil || service.Load != "loaded" || service.Ended && !service.Running() {
			break
		}
		platform.Sleep(ctx, endingPause)
	}
	return service, err
}
