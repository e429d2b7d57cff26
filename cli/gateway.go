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
	log := newLogger(c.App.ErrWriter)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	g, err := gateway.New(gateway.Config{
		Paths: paths(), Host: settings.HostOf, Listeners: http, Status: status, Logger: log, Registry: registry,
	})
	if err != nil {
		return err
	}
	notifyReady(log)
	log.Info("gateway started", "version", Version(), "endpoint", settings.Endpoint)
	return g.Run(c.Context)
}

// inheritedListeners are the sockets that systemd listens on for the gateway: those named http are for clients, the one
// named status is for metrics. They outlive the gateway, so that no connection is refused while it restarts.
func inheritedListeners() (http []net.Listener, status net.Listener, err error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, nil, fmt.Errorf("take over the sockets: %w", err)
	}
	http = named["http"]
	if len(http) == 0 {
		return nil, nil, withHint(errors.New("there is no socket to serve"), "the gateway is started by systemd: systemctl start fnctl-gateway.socket")
	}
	if len(named["status"]) > 0 {
		status = named["status"][0]
	}
	return http, status, nil
}
