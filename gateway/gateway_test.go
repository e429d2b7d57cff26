package gateway_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

var ping = platform.RevisionID{Function: "ping", Number: 1}

func TestColdStartAnswersEveryRequest(t *testing.T) {
	w := newWorld(t)
	w.route(ping)
	a := w.arm(ping, 1)
	var group sync.WaitGroup
	answers := make([]answer, 100)
	for i := range answers {
		group.Go(func() { answers[i] = w.get("ping", "/") })
	}
	w.eventually("all are held", func() bool { return w.metric(platform.MetricQueued) == 100 })
	time.Sleep(100 * time.Millisecond)
	a.serve(t, echo("1"))
	group.Wait()
	for _, got := range answers {
		if got.err != nil || got.status != http.StatusOK || got.body != "1" || got.header.Get("Fnctl-Cold-Start") == "" {
			t.Fatalf("got %+v", got)
		}
	}
	if got := w.get("ping", "/"); got.status != http.StatusOK || got.header.Get("Fnctl-Cold-Start") != "" {
		t.Errorf("warm: %+v", got)
	}
}
