package platform_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

var shop = platform.RevisionID{Function: "shop", Number: 3}

func TestRouteToHasTheLimits(t *testing.T) {
	config, err := platform.ParseConfig("jcloud.yml", []byte("command: ./server\nprotocol: h2c\ntimeout: 5m\nresponse_start_timeout: 20\n"+
		"idle_timeout: 1.5\nliveness_timeout: 2\ndrain_grace: 1m\nconcurrency: 4\nmax_body: 512Ki\nmax_queue: 7\nhosts: shop.example.com\n"))
	if err != nil {
		t.Fatal(err)
	}
	config.Workers = 2 // of an app, which a command is not
	route := platform.RouteTo(platform.Revision{ID: shop, Config: config})
	want := platform.TrafficShare{
		Revision: shop, Percent: 100,
		Timeouts: platform.Timeouts{
			Timeout: platform.Seconds(300), ResponseStartTimeout: platform.Seconds(20), IdleTimeout: platform.Seconds(1.5),
			LivenessTimeout: platform.Seconds(2), DrainGrace: platform.Seconds(60),
		},
		Limits:   platform.Limits{Concurrency: 4, MaxBody: 512 << 10, MaxQueue: 7},
		Protocol: platform.H2C,
		Workers:  2,
	}
	if err := route.Check(); err != nil || len(route.Traffic) != 1 || route.Traffic[0] != want {
		t.Fatalf("got %+v, %v, want %+v", route.Traffic, err, want)
	}
	encoded, err := json.Marshal(route)
	if err != nil {
		t.Fatal(err)
	}
	var decoded platform.Route
	if err := json.Unmarshal(encoded, &decoded); err != nil || !reflect.DeepEqual(decoded, route) {
		t.Errorf("from JSON: got %+v, %v, want %+v", decoded, err, route)
	}
	for what, got := range map[string][2]platform.Duration{
		"timeout":                {want.Timeout, platform.Duration(5 * time.Minute)},
		"response_start_timeout": {want.ResponseStartTimeout, platform.Duration(20 * time.Second)},
		"idle_timeout":           {want.IdleTimeout, platform.Duration(1500 * time.Millisecond)},
		"liveness_timeout":       {want.LivenessTimeout, platform.Duration(2 * time.Second)},
		"drain_grace":            {want.DrainGrace, platform.Duration(time.Minute)},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %v, want %v", what, got[0], got[1])
		}
	}
}

// A route of an older version says less.
func TestRouteOfAnOlderVersion(t *testing.T) {
	var route platform.Route
	old := `{"function":"shop","traffic":[{"revision":"shop-00003","percent":100,"timeout_seconds":120}]}`
	if err := json.Unmarshal([]byte(old), &route); err != nil {
		t.Fatal(err)
	}
	if err := route.Check(); err != nil {
		t.Fatal(err)
	}
	share := route.Traffic[0]
	if share.ResponseStartTimeout != 0 || share.IdleTimeout != 0 || share.LivenessTimeout != platform.Seconds(10) ||
		share.DrainGrace != platform.Seconds(30) || share.MaxBody != 0 || share.MaxQueue != 0 || share.Protocol != "" || share.Workers != 0 {
		t.Errorf("got %+v", share)
	}
}

func TestRouteCheckRefuses(t *testing.T) {
	for what, damage := range map[string]func(*platform.TrafficShare){
		"percent is out of range":                func(s *platform.TrafficShare) { s.Percent = -1 },
		"timeout is out of range":                func(s *platform.TrafficShare) { s.Timeout = 0 },
		"response_start_timeout is out of range": func(s *platform.TrafficShare) { s.ResponseStartTimeout = platform.Seconds(-1) },
		"idle_timeout is out of range":           func(s *platform.TrafficShare) { s.IdleTimeout = platform.Seconds(-1) },
		"liveness_timeout is out of range":       func(s *platform.TrafficShare) { s.LivenessTimeout = platform.Seconds(-0.1) },
		"drain_grace is out of range":            func(s *platform.TrafficShare) { s.DrainGrace = platform.Seconds(-1) },
		"workers is out of range":                func(s *platform.TrafficShare) { s.Workers = -1 },
		"concurrency is out of range":            func(s *platform.TrafficShare) { s.Concurrency = -1 },
		"max_body is out of range":               func(s *platform.TrafficShare) { s.MaxBody = -1 },
		"max_queue is out of range":              func(s *platform.TrafficShare) { s.MaxQueue = -1 },
		"protocol is out of range":               func(s *platform.TrafficShare) { s.Protocol = "http3" },
		"belongs to another function":            func(s *platform.TrafficShare) { s.Revision.Function = "other" },
		"adds up to 99 percent":                  func(s *platform.TrafficShare) { s.Percent = 99 },
	} {
		route := platform.RouteTo(platform.Revision{ID: shop, Config: platform.DefaultConfig()})
		damage(&route.Traffic[0])
		if err := route.Check(); !strings.Contains(errorText(err), what) {
			t.Errorf("got %v, want %q", err, what)
		}
	}
}

// A revision without traffic is not in the route, and the newest with traffic is the last and has the say.
func TestRouteOver(t *testing.T) {
	revision := func(n int, host string) platform.Revision {
		config := platform.DefaultConfig()
		config.Hosts = []string{host}
		return platform.Revision{ID: platform.RevisionID{Function: "shop", Number: n}, Config: config}
	}
	splits := []platform.Split{
		{Revision: revision(3, "three.example"), Percent: 0},
		{Revision: revision(2, "two.example"), Percent: 10},
		{Revision: revision(1, "one.example"), Percent: 90},
	}
	route := platform.RouteOver(splits)
	if err := route.Check(); err != nil {
		t.Fatal(err)
	}
	for n, want := range []int{0, 90, 10, 0} {
		id := platform.RevisionID{Function: "shop", Number: n}
		if got := route.PercentOf(id); got != want || route.Reaches(id) != (want > 0) {
			t.Errorf("%s: got %d percent, reached %v, want %d", id, got, route.Reaches(id), want)
		}
	}
	if last := route.Traffic[len(route.Traffic)-1].Revision.Number; last != 2 || route.Hosts[0] != "two.example" {
		t.Errorf("the last is %d, the hosts are %q", last, route.Hosts)
	}
	if splits[0].Percent != 0 || splits[2].Revision.ID.Number != 1 {
		t.Errorf("what was given has changed: %+v", splits)
	}
}
