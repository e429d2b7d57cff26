package doctor

import (
	"context"
	"strings"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
)

// nft is the program of fnctl-firewall.service.
const nft = "/usr/sbin/nft"

// checkNetwork looks whether what functions listen on is closed to the network.
func (e *examination) checkNetwork(ctx context.Context) error {
	const open = "ports of functions are open to the network, past the gateway, and the cloud's keys to functions: "
	const restart = "systemctl restart fnctl-firewall; journalctl -u fnctl-firewall says what keeps it from that"
	if !platform.Exists(nft) {
		e.warn("apt-get install nftables, or dnf install nftables; then systemctl restart fnctl-firewall", open+"there is no nft to close them")
		return nil
	}
	rules, err := build.RunTool(ctx, nft, "list", "table", "inet", "fnctl")
	switch {
	case err != nil:
		e.warn(restart, open+"the rules of fnctl-firewall.service are not there")
	case !strings.Contains(rules, `socket cgroupv2 level 1 "fn.slice"`):
		e.warn(restart, open+"the rules of fnctl-firewall.service are for control groups that are gone")
	default:
		e.ok("ports of functions are closed to it")
	}
	return nil
}
