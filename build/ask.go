package build

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// askScript is told the name of an application, and prints its interface.
//
//go:embed ask.py
var askScript string

// askLimit bounds how long an application may take to be imported. An instance has as long as its health check gives it.
const askLimit = 5 * time.Minute

// maxAnswer bounds what is kept of an answer, in bytes.
const maxAnswer = 4 << 10

// Ask imports the application of a revision, whose server was only guessed, and returns the app with what it is. It runs where the
// first instance of the revision will, with the same variables, secrets and limits, but as a user that exists for just that, and with
// an empty workspace. One that does not tell is returned as it was, and the error has the reason. The lock of the function is held.
func (a App) Ask(ctx context.Context, manager Units, store platform.Store, rev platform.Revision) (App, error) {
	answer, err := ask(ctx, manager, store, rev)
	if err != nil {
		return a, fmt.Errorf("ask %s what it is: %w", a.Text, err)
	}
	return a.answered(answer)
}

// answered is the app when it is known what it answers.
func (a App) answered(answer string) (App, error) {
	switch answer {
	case "ASGI": // as was guessed
	case "WSGI":
		a.Runtime = platform.RuntimeGunicorn
	default:
		return a, fmt.Errorf("ask %s what it is: %s", a.Text, platform.Clip(answer))
	}
	a.guessed = false
	a.Found = fmt.Sprintf("detected %s: %s was imported and asked; %s runs it", answer, a.Text, a.Runtime)
	return a, nil
}

func ask(ctx context.Context, manager Units, store platform.Store, rev platform.Revision) (answer string, err error) {
	first := platform.InstanceID{Revision: rev.ID, Index: 1}
	settings, command := units.Trial(store.Paths, rev, first.Index, []string{rev.Command[0], "-c", askScript, rev.App})
	limit := min(askLimit, time.Duration(rev.Config.Healthcheck.Timeout))
	c := confined{
		unit: buildUnit(rev.ID.Function, "ask-"+strconv.Itoa(os.Getpid())), description: "fnctl: what the app of " + rev.ID.String() + " is",
		properties: append(settings, fmt.Sprintf("RuntimeMaxSec=%d", max(1, int(limit.Seconds()))), "TimeoutStopSec=1s"),
	}
	// One of a deploy that was killed may still run.
	if err := Stop(ctx, manager, rev.ID.Function); err != nil {
		return "", err
	}
	// The copy goes with the question, and the instance makes its own: the app may have written to this one.
	defer func() { err = errors.Join(err, store.RemoveWorkdir(first)) }()
	if err := store.RemoveWorkdir(first); err != nil { // of a deploy that was killed
		return "", err
	}
	work := store.Paths.Workdir(first)
	if out, err := RunTool(ctx, "cp", "-a", "--reflink=auto", store.Paths.Snapshot(rev.ID), work); err != nil {
		return "", fmt.Errorf("copy the app: %w: %s", err, out)
	}
	c.disks = []string{work}
	out := &tail{limit: maxAnswer}
	if err := c.run(ctx, out, command...); err != nil { // the unit may go on without who has started it
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return "", errors.Join(fmt.Errorf("%w: %s", err, strings.TrimSpace(out.String())), Stop(stop, manager, rev.ID.Function))
	}
	return strings.TrimSpace(out.String()), nil
}
