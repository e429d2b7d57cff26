package cli

import (
	"errors"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

func gatewayCommand() *cli.Command {
	return &cli.Command{
		Name:      "gateway",
		Usage:     "run the data path (fnctl-gateway.service does, with the sockets of fnctl-gateway.socket)",
		UsageText: "gateway",
		Action:    runGateway,
	}
}

func runGateway(c *cli.Context) error {
	settings, err := platform.LoadSettings(paths())
	if err != nil {
		return err
	}
	http, status, err := inheritedListeners()
	if err != nil {
		return err
	}
	if len(http) == 0 {
		return withHint(errors.New("there is no socket to serve"), "the gateway is started by systemd: systemctl start fnctl-gateway.socket")
	}
	log := newLogger(c.App.ErrWriter)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	config := gateway.Config{
		Paths: paths(), Host: settings.HostOf, Listeners: http, Status: status, Logger: log, Registry: registry,
		MaxQueue: settings.Gateway.MaxQueue, MaxBuffered: settings.Gateway.MaxBuffered,
		MaxConnections: settings.Gateway.MaxConnections, MaxConnectionsPerAddress: settings.Gateway.MaxConnectionsPerAddress,
		ReadHeaderTimeout: settings.Gateway.ReadHeaderTimeout, IdleTimeout: settings.Gateway.IdleTimeout,
		MaxHeaderBytes: int(settings.Gateway.MaxHeader), DrainTimeout: settings.Gateway.DrainTimeout,
		TrustedProxies: settings.Gateway.TrustedProxies,
	}
	during := func(run func() error) error { return run() }
	if which := settings.Gateway.AccessLog; which != platform.AccessLogOff {
		access := newAccessLog(journalSocketPath, which == platform.AccessLogErrors)
		registry.MustRegister(access.dropped)
		config.AccessLog, during = access, access.during
	}
	g, err := gateway.New(config)
	if err != nil {
		return err
	}
	notifyReady(log)
	log.Info("gateway started", "version", Version(), "endpoint", settings.Endpoint)
	return during(func() error { return g.Run(c.Context) })
}

// inheritedListeners are the sockets that systemd listens on for a daemon: those named http are for clients, those named
// status for metrics. They outlive the daemon, so that no connection is refused while it restarts.
func inheritedListeners() (http, status []net.Listener, err error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the sockets: %w", err)
	}
	return named["http"], named["status"], nil
}
