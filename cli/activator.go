package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/activator"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

func activatorCommand() *cli.Command {
	return &cli.Command{
		Name:      "activator",
		Usage:     "run the control loop (fnctl-activator.service does)",
		UsageText: "activator",
		Action:    runActivator,
	}
}

func runActivator(c *cli.Context) error {
	if err := requireRoot("the activator"); err != nil {
		return err
	}
	settings, err := platform.LoadSettings(paths())
	if err != nil {
		return err
	}
	prometheus, err := activator.NewPrometheusSource(settings.Metrics.URL)
	if err != nil {
		return err
	}
	var source activator.Source = activator.NewActiveGatewaySource(paths().GatewaySocket())
	if settings.Metrics.Source == platform.SourcePrometheus {
		source = prometheus
	}
	log := journal.NewLogger(raw(c.App.ErrWriter))
	sockets, err := inheritedListeners()
	if err != nil {
		return err
	}
	listener, err := listenStatus(paths().ActivatorSocket())
	if err != nil {
		return err
	}
	listeners := append(sockets["status"], listener)
	manager := &systemd.Manager{}
	defer manager.Close()
	a := activator.New(activator.Config{
		Store: store(), Units: manager, Source: source, Querier: prometheus, StandbyMemory: settings.Standby.Memory, StandbySwap: settings.Standby.Swap,
		Poised: settings.Poised.Count, PoisedMemory: settings.Poised.Memory, Log: log,
	})
	group, ctx := errgroup.WithContext(c.Context)
	group.Go(func() error { return a.Run(ctx) })
	for _, listener := range listeners {
		group.Go(func() error { return serveUntil(ctx, listener, a.Handler()) })
	}
	notifyReady(log)
	log.Info("activator started", "version", Version())
	return group.Wait()
}

// listenStatus listens on a unix socket that root and the group fnctl may use.
func listenStatus(path string) (net.Listener, error) {
	if err := platform.Remove(path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := shareWithGroup(path); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

func shareWithGroup(path string) error {
	group, err := user.LookupGroup("fnctl")
	if err != nil {
		return platform.WithHint(err, "the package makes it; by hand: systemd-sysusers fnctl.conf")
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return fmt.Errorf("group fnctl: %w", err)
	}
	return errors.Join(os.Chown(path, 0, gid), os.Chmod(path, 0o660))
}

// statusTimeout bounds a question about status, and its answer.
const statusTimeout = 10 * time.Second

// serveUntil serves HTTP until the context ends.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadTimeout: statusTimeout, WriteTimeout: statusTimeout}
	stopped := context.AfterFunc(ctx, func() { server.Close() })
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// notifyReady tells systemd that the daemon serves.
func notifyReady(log *slog.Logger) {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("tell systemd that the daemon is ready", "err", err)
	}
}
