package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func (e *examination) checkSettings(context.Context) error {
	settings, err := platform.LoadSettings(e.store.Paths)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			e.fail("mend it; fnctl.yml(5) has all settings", "%s", line)
		}
		return nil
	}
	e.ok("the endpoint of a function is %s", settings.EndpointOf("NAME"))
	return nil
}

// gatewaySocket and gatewaySocketIPv6 are the units that listen for requests.
const (
	gatewaySocket     = "fnctl-gateway.socket"
	gatewaySocketIPv6 = "fnctl-gateway-ipv6.socket"
)

func (e *examination) checkGateway(ctx context.Context) error {
	const unit = gatewaySocket
	list, err := e.units.List(ctx, unit)
	switch {
	case err != nil:
		return err
	case len(list) == 0 || list[0].Active == "inactive":
		e.fail("systemctl enable --now "+unit, "%s is not started: nothing listens for requests", unit)
		return nil
	case list[0].Active == "failed":
		result, _ := e.units.SocketResult(ctx, unit)
		e.fail("does another program have the port? ss -ltnp; journalctl -u "+unit+"; systemctl edit "+unit+" changes the address",
			"%s has failed: %s", unit, result)
		return nil
	}
	return e.checkDaemon(ctx, "fnctl-gateway", e.store.Paths.GatewaySocket(), "systemctl reload fnctl-gateway (no request fails)")
}

func (e *examination) checkActivator(ctx context.Context) error {
	return e.checkDaemon(ctx, "fnctl-activator", e.store.Paths.ActivatorSocket(), "systemctl restart fnctl-activator (no request fails)")
}

// checkDaemon reports whether a daemon runs, answers, and is of the version that is installed.
func (e *examination) checkDaemon(ctx context.Context, name, socket, renew string) error {
	status, err := e.units.Service(ctx, name+".service")
	switch {
	case err != nil:
		return err
	case status.Active == "failed" || status.Active == "activating" && status.Sub == "auto-restart":
		e.fail("journalctl -u "+name, "%s.service doesn't run: %s", name, status.Result)
		return nil
	case status.MainPID == 0:
		e.fail("systemctl enable --now "+name, "%s.service is not started", name)
		return nil
	}
	switch err := askHealth(ctx, socket); {
	case errors.Is(err, syscall.EACCES):
		e.ok("it runs; whether it answers only root can ask, and members of the group fnctl")
		return nil
	case err != nil:
		e.fail("journalctl -u "+name+"; systemctl restart "+name, "it runs and doesn't answer: %v", err)
		return nil
	}
	if replaced(e.store.Paths, status.MainPID) {
		e.warn(renew, "it answers, but it is not the program that is installed now")
		return nil
	}
	e.ok("it answers")
	return nil
}

func askHealth(ctx context.Context, socket string) error {
	resp, err := deploy.AskDaemon(ctx, socket, "/healthz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("its health is %s", resp.Status)
	}
	return nil
}

// replaced reports whether the program of a process was replaced since it was started, as an upgrade does.
func replaced(paths platform.Paths, pid int) bool {
	program, err := os.Readlink(filepath.Join(paths.Root, "proc", fmt.Sprint(pid), "exe"))
	return err == nil && strings.HasSuffix(program, " (deleted)")
}
