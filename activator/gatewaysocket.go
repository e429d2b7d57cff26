package activator

import (
	"context"
	"log/slog"
	"time"

	"github.com/fnctl/fnctl/platform"
)

const (
	// gatewaySocket is the unit that listens for all clients.
	gatewaySocket = "fnctl-gateway.socket"
	// gatewayCheck is the time between two checks of it.
	gatewayCheck = 5 * time.Second
)

// gatewayRepairer makes the gateway's socket listen again if it has failed, as when another program had its port, or its
// address did not exist yet. It leaves alone a socket that was stopped.
type gatewayRepairer struct {
	units Units
	log   *slog.Logger
}

// run checks the socket until the context ends.
func (g *gatewayRepairer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		g.repair(ctx)
		platform.Sleep(ctx, gatewayCheck)
	}
	return nil
}

func (g *gatewayRepairer) repair(ctx context.Context) {
	list, err := g.units.List(ctx, gatewaySocket)
	if err != nil || len(list) == 0 || list[0].Active != "failed" {
		return // the unitWatcher logs it if systemd doesn't answer
	}
	if err := g.units.ResetFailed(ctx, gatewaySocket); err != nil {
		g.log.Warn("repair the gateway's socket", "err", err)
	}
	if err := g.units.Start(ctx, gatewaySocket); err != nil {
		g.log.Warn("the gateway's socket cannot listen; it is tried again", "err", err)
		return
	}
	g.log.Info("the gateway's socket listens again")
}
