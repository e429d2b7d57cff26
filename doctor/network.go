package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

// checkNetwork looks whether what functions listen on is closed to the network, and the networks that some are kept out of to them.
func (e *examination) checkNetwork(ctx context.Context) error {
	firewall := deploy.CheckFirewall(ctx)
	if firewall != nil {
		e.warn(platform.HintOf(firewall), "ports of functions are open to the network, past the gateway, and the cloud's keys to functions: %v", firewall)
	} else {
		e.ok("ports of functions are closed to it")
	}
	confined, err := e.confinedToInternet()
	if err != nil || len(confined) == 0 {
		return err
	}
	engine := deploy.Engine{Store: e.store, Units: e.units}
	resolvers := deploy.PrivateResolvers(e.store.Paths)
	if err := engine.CheckNetwork(ctx, platform.NetworkInternet, resolvers); err != nil {
		e.fail(platform.HintOf(err), "%s: %v", listOf(confined), err)
	}
	for _, rev := range confined {
		missing := slices.DeleteFunc(slices.Clone(resolvers), func(addr string) bool { return slices.Contains(rev.Resolvers, addr) })
		if len(missing) > 0 {
			e.warn("fnctl deploy it again", "%s cannot ask %s, which is in /etc/resolv.conf by now, for names", rev.ID, strings.Join(missing, ", "))
		}
	}
	return nil
}

// confinedToInternet lists the revisions with traffic that reach no private network. What cannot be read is another finding.
func (e *examination) confinedToInternet() (confined []platform.Revision, err error) {
	names, err := e.store.Functions()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		route, err := e.store.Route(name)
		if err != nil {
			continue
		}
		for _, share := range route.Traffic {
			rev, err := e.store.Revision(share.Revision)
			if err == nil && rev.Config.Network == platform.NetworkInternet {
				confined = append(confined, rev)
			}
		}
	}
	return confined, nil
}

func listOf(revisions []platform.Revision) string {
	names := make([]string, len(revisions))
	for i, rev := range revisions {
		names[i] = rev.ID.String()
	}
	return strings.Join(names, ", ")
}
