package cli

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/accesslog"
	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

func gatewayCommand() *cli.Command {
	return &cli.Command{
		Name:      "gateway",
		Usage:     "run the data path (fnctl-gateway.service does, with the sockets of fnctl-gateway.socket)",
		UsageText: "gateway [--hand-over]",
		Flags: []cli.Flag{&cli.BoolFlag{
			Name:  "hand-over",
			Usage: "start a gateway in the place of the one that runs, and return when it serves (systemctl reload fnctl-gateway does)",
		}},
		Action: func(c *cli.Context) error {
			if c.Bool("hand-over") {
				return startSuccessor(c.Context)
			}
			return runGateway(c)
		},
	}
}

func runGateway(c *cli.Context) error {
	settings, err := platform.LoadSettings(paths())
	if err != nil {
		return err
	}
	place, err := findPlace(c.Context)
	if err != nil {
		return err
	}
	log := journal.NewLogger(raw(c.App.ErrWriter))
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	config := gateway.Config{
		Paths: paths(), Host: settings.HostOf, Logger: log, Registry: registry,
		Listeners: place.listeners, Secure: place.secure, Redirecting: place.redirecting, Status: place.status,
		Certificates: certificates.NewCache(certificates.StoreOf(paths()), log), Challenges: certificates.ChallengesOf(paths()),
		MaxQueue: settings.Gateway.MaxQueue, MaxBuffered: settings.Gateway.MaxBuffered,
		MaxConnections: settings.Gateway.MaxConnections, MaxConnectionsPerAddress: settings.Gateway.MaxConnectionsPerAddress,
		ReadHeaderTimeout: settings.Gateway.ReadHeaderTimeout, MinRate: int64(settings.Gateway.MinRate), IdleTimeout: settings.Gateway.IdleTimeout,
		MaxHeaderBytes: int(settings.Gateway.MaxHeader), DrainTimeout: settings.Gateway.DrainTimeout,
		TrustedProxies: settings.Gateway.TrustedProxies, ProxyProtocol: settings.Gateway.ProxyProtocol,
		Name:        gatewayName(),
		Predecessor: place.predecessor,
		Serving: func() error {
			log.Info("gateway started", "version", Version(), "endpoint", settings.Endpoint)
			return place.taken(log)
		},
	}
	during := func(run func() error) error { return run() }
	if which := settings.Gateway.AccessLog; which != platform.AccessLogOff {
		access := accesslog.New(journal.SocketPath, which == platform.AccessLogErrors)
		registry.MustRegister(access.Dropped)
		config.AccessLog, during = access, access.During
	}
	g, err := gateway.New(config)
	if err != nil {
		return err
	}
	return during(func() error { return g.Run(c.Context) })
}

// gatewayName is the same for all gateways of the machine, and no other's. It tells nothing of the machine's ID, which is confidential
// (machine-id(5)).
func gatewayName() string {
	id, err := os.ReadFile(filepath.Join(paths().Root, "etc/machine-id"))
	if err != nil || len(bytes.TrimSpace(id)) == 0 {
		return "fnctl"
	}
	sum := hmac.New(sha256.New, bytes.TrimSpace(id))
	sum.Write([]byte("fnctl-gateway"))
	return "fnctl-" + hex.EncodeToString(sum.Sum(nil)[:4])
}

// place is where a gateway serves.
type place struct {
	listeners, secure, redirecting, status []net.Listener
	predecessor                            *gateway.Predecessor         // that was there before and hands over, if there is one
	taken                                  func(log *slog.Logger) error // to be called when the gateway serves
}

// findPlace takes the sockets from the gateway that runs if this one is to take its place, and from systemd otherwise.
func findPlace(ctx context.Context) (place, error) {
	if starter := findStarter(); starter != nil {
		predecessor, err := gateway.Succeed(ctx, paths().GatewaySocket())
		if err != nil {
			return place{}, err
		}
		return place{
			listeners: predecessor.Listeners, secure: predecessor.Secure, redirecting: predecessor.Redirecting, status: predecessor.Status,
			predecessor: predecessor,
			taken:       func(*slog.Logger) error { return starter.report() },
		}, nil
	}
	sockets, err := inheritedListeners()
	if err == nil && len(sockets["http"]) == 0 {
		err = platform.WithHint(errors.New("there is no socket to serve"), "the gateway is started by systemd: systemctl start fnctl-gateway.socket")
	}
	return place{
		listeners: sockets["http"], secure: sockets["https"], redirecting: sockets["redirect"], status: sockets["status"],
		taken: func(log *slog.Logger) error {
			notifyReady(log)
			return nil
		},
	}, err
}

// inheritedListeners are the sockets that systemd listens on for a daemon, by name: http, https and redirect are for clients, status is for
// metrics. They outlive the daemon, so that no connection is refused while it restarts.
func inheritedListeners() (map[string][]net.Listener, error) {
	named, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("take over the sockets: %w", err)
	}
	return named, nil
}
