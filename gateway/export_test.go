package gateway

import "github.com/fnctl/fnctl/platform"

// Route is the route by which requests to a function go by now, and whether there is one.
func (g *Gateway) Route(function string) (platform.Route, bool) { return g.fleet.route(function) }
