package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

// getFrom asks at a host of its own.
func (w *world) getFrom(host string, header ...string) answer {
	req := w.request(http.MethodGet, "ping", "/", "")
	req.Host = host
	for _, field := range header {
		name, value, _ := strings.Cut(field, ": ")
		req.Header.Set(name, value)
	}
	return send(w.client, req)
}

// taggedRoute gives the first revision all traffic and the second a tag.
func taggedRoute() platform.Route {
	return platform.Route{
		Function: "ping", Hosts: []string{"shop.example"},
		Traffic: []platform.TrafficShare{
			{Revision: ping, Percent: 100, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)}},
			{Revision: ping2, Timeouts: platform.Timeouts{Timeout: platform.Seconds(20)}},
		},
		Tags: map[string]platform.RevisionID{"canary": ping2},
	}
}

func TestTagHosts(t *testing.T) {
	w := newWorld(t)
	w.put(taggedRoute())
	w.arm(ping, 1).serve(t, echo("1"))
	w.arm(ping2, 1).serve(t, echo("2"))
	w.eventually("it is routed", func() bool { return w.get("ping", "/").status == http.StatusOK })
	for host, want := range map[string]string{
		"canary.ping.localhost": "2", "CANARY.ping.localhost.:80": "2", "00002.ping.localhost": "2", "00001.ping.localhost": "1",
		"ping.localhost": "1", "shop.example": "1",
	} {
		for range 5 {
			if got := w.getFrom(host); got.body != want {
				t.Errorf("%s: got %+v, want %s", host, got, want)
			}
		}
	}
	for host, want := range map[string]string{
		"00003.ping.localhost":    "revision 00003 of ping has neither traffic nor a tag: fnctl traffic ping --tag TAG=00003\n",
		"stable.ping.localhost":   "ping has no tag stable: see fnctl traffic ping\n",
		"canary.shop.example":     "no function is reached at canary.shop.example: see fnctl list\n",
		"a.canary.ping.localhost": "no function is reached at a.canary.ping.localhost: see fnctl list\n",
	} {
		if got := w.getFrom(host); got.status != http.StatusNotFound || got.body != want {
			t.Errorf("%s: got %+v, want %q", host, got, want)
		}
	}
	paused := taggedRoute()
	paused.Paused = true
	w.put(paused)
	w.eventually("it is paused", func() bool { return w.getFrom("canary.ping.localhost").status == http.StatusServiceUnavailable })
}

// A request that waits for a tagged revision goes where the tag leads now.
func TestTagMovesWhileARequestWaits(t *testing.T) {
	w := newWorld(t)
	w.put(taggedRoute())
	w.arm(ping, 1).serve(t, echo("1"))
	w.eventually("it is routed", func() bool { return w.get("ping", "/").status == http.StatusOK })
	got := make(chan answer, 1)
	go func() { got <- w.getFrom("canary.ping.localhost") }()
	w.eventually("it is held", func() bool { return w.metric(platform.MetricQueued, "revision=ping-00002") == 1 })
	moved := taggedRoute()
	moved.Traffic, moved.Tags = moved.Traffic[:1], map[string]platform.RevisionID{"canary": ping}
	w.put(moved)
	if got := <-got; got.body != "1" {
		t.Errorf("got %+v", got)
	}
}

func TestStickySplit(t *testing.T) {
	w := newWorld(t)
	route := taggedRoute()
	route.Traffic[0].Percent, route.Traffic[1].Percent = 50, 50
	route.Sticky = &platform.Sticky{Header: "X-User"}
	w.put(route)
	w.arm(ping, 1).serve(t, echo("1"))
	w.arm(ping2, 1).serve(t, echo("2"))
	w.eventually("it is routed", func() bool { return w.get("ping", "/").status == http.StatusOK })
	seen := map[string]bool{}
	for _, user := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		first := w.getFrom("shop.example", "X-User: "+user)
		seen[first.body] = true
		for range 5 {
			if again := w.getFrom("ping.localhost", "X-User: "+user); again.body != first.body || again.header.Get("Set-Cookie") != "" {
				t.Errorf("%s: got %+v after %s", user, again, first.body)
			}
		}
	}
	if !seen["1"] || !seen["2"] {
		t.Errorf("ten users see only %v", seen)
	}
	route.Sticky = &platform.Sticky{Cookie: platform.ClientCookie}
	w.put(route)
	var cookie string
	w.eventually("a cookie is given", func() bool {
		cookie, _, _ = strings.Cut(w.get("ping", "/").header.Get("Set-Cookie"), ";")
		return cookie != ""
	})
	first := w.getFrom("ping.localhost", "Cookie: "+cookie)
	for range 10 {
		if again := w.getFrom("ping.localhost", "Cookie: "+cookie); again.body != first.body || again.header.Get("Set-Cookie") != "" {
			t.Errorf("got %+v after %s", again, first.body)
		}
	}
	if got := w.getFrom("canary.ping.localhost"); got.body != "2" || got.header.Get("Set-Cookie") != "" {
		t.Errorf("by its tag: got %+v", got)
	}
}
