package deploy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// nft is the program of fnctl-firewall.service.
const nft = "/usr/sbin/nft"

// PrivateResolvers are the addresses in private networks at which the machine asks for names. Instances that reach nothing else there
// need them.
func PrivateResolvers(paths platform.Paths) []string {
	file, err := os.Open(filepath.Join(paths.Root, "etc/resolv.conf"))
	if err != nil {
		return nil // without it, programs ask the loopback
	}
	defer file.Close()
	var resolvers []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		addr, err := netip.ParseAddr(words[1])
		addr = addr.Unmap().WithZone("")
		if err == nil && units.IsPrivate(addr) && !slices.Contains(resolvers, addr.String()) {
			resolvers = append(resolvers, addr.String())
		}
	}
	return resolvers
}

// CheckNetwork refuses a network that this machine cannot keep instances in. resolvers stay open to them.
func (e *Engine) CheckNetwork(ctx context.Context, network platform.Network, resolvers []string) error {
	if network != platform.NetworkInternet {
		return nil
	}
	if err := e.CheckFilter(ctx); err != nil {
		return err
	}
	at := slices.IndexFunc(resolvers, isMetadata)
	if at < 0 {
		return nil
	}
	if err := CheckFirewall(ctx); err != nil {
		return platform.WithHint(
			fmt.Errorf("network: internet: %s of /etc/resolv.conf is also where the cloud tells its keys, which only nftables could close: %w", resolvers[at], err),
			"%s; or have a resolver on this machine: apt-get install systemd-resolved", platform.HintOf(err))
	}
	return nil
}

// CheckFilter returns an error if systemd cannot keep services out of networks here. Only root can find out; others are told what has
// been found.
func (e *Engine) CheckFilter(ctx context.Context) error {
	var err error
	if os.Geteuid() == 0 {
		err = e.Units.Start(ctx, platform.InternetUnit)
	} else if status, _ := e.Units.Service(ctx, platform.InternetUnit); status.Active == "failed" {
		err = fmt.Errorf("%s has failed", platform.InternetUnit)
	}
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return platform.WithHint(fmt.Errorf("network: internet: this machine cannot keep instances out of private networks: %w", err),
		"it takes the unified control groups, and the right to load BPF programs, which containers often lack; journalctl -u %s tells. Or network: none, or host",
		platform.InternetUnit)
}

// isMetadata reports whether a cloud tells a machine's keys at an address.
func isMetadata(address string) bool {
	addr, err := netip.ParseAddr(address)
	return err == nil && slices.Contains(units.MetadataAddresses, addr)
}

// CheckFirewall returns an error that says why the rules of fnctl-firewall.service are not in force.
func CheckFirewall(ctx context.Context) error {
	if !platform.Exists(nft) {
		return platform.WithHint(errors.New("there is no nft"), "apt-get install nftables, or dnf install nftables; then systemctl restart fnctl-firewall")
	}
	const restart = "systemctl restart fnctl-firewall; journalctl -u fnctl-firewall says what keeps it from that"
	rules, err := build.RunTool(ctx, nft, "list", "table", "inet", "fnctl")
	switch {
	case err != nil:
		return platform.WithHint(errors.New("the rules of fnctl-firewall.service are not there"), restart)
	case !strings.Contains(rules, `socket cgroupv2 level 1 "fn.slice"`):
		return platform.WithHint(errors.New("the rules of fnctl-firewall.service are for control groups that are gone"), restart)
	}
	return nil
}

// warnResolvers says which addresses of private networks stay open.
func warnResolvers(progress Progress, open []string) {
	if len(open) > 0 {
		progress.Warn(platform.WithHint(
			fmt.Errorf("network: internet: %s of /etc/resolv.conf stays open, with all ports: names could not be looked up otherwise", strings.Join(open, ", ")),
			"with a resolver on this machine, such as systemd-resolved, nothing does"))
	}
}
