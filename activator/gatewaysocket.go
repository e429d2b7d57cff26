package activator

import (
	"context"
	"time"
)

const (
	// gatewaySocket is the unit that listens for all clients.
	gatewaySocket = "fnctl-gateway.socket"
	// gatewayCheck is how often it is looked at.
	gatewayCheck = 5 * time.Second
)

// keepGateway makes the gateway's socket listen again if it has failed, as when another program had its port, or its
// address was not there yet. One that was stopped stays so.
func (a *Activator) keepGateway(ctx context.Context) error {
	for ctx.Err() == nil {
		a.repairGateway(ctx)
		pause(ctx, gatewayCheck)
	}
	return nil
}

func (a *Activator) repairGateway(ctx context.Context) {
	list, err := a.units.List(ctx, gatewaySocket)
	if err != nil || len(list) == 0 || list[0].Active != "failed" {
		return // whoever lists all units says if systemd doesn't answer
	}
	if err := a.units.ResetFailed(ctx, gatewaySocket); err != nil {
		a.log.Warn("repair the gateway's socket", "err", err)
	}
	if err := a.units.Start(ctx, gatewaySocket); err != nil {
		a.log.Warn("the gateway's socket cannot listen; it is tried again", "err", err)
		return
	}
	a.log.Info("the gateway's socket listens again")
}
