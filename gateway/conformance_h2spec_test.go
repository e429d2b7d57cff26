package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/summerwind/h2spec/config"
	"github.com/summerwind/h2spec/generic"
	"github.com/summerwind/h2spec/hpack"
	"github.com/summerwind/h2spec/http2"
	"github.com/summerwind/h2spec/spec"

	"github.com/fnctl/fnctl/gateway"
)

// knownFailures of h2spec are where Go's HTTP/2 server does something else for a reason. Each must go on to fail, so that
// the list cannot outlive its reasons.
var knownFailures = map[string]string{
	"http2/3.5/2":     "the listener speaks HTTP/1.1 as well: what is no preface gets its 400, which h2spec takes for a frame, and is closed",
	"http2/6.5.3/1":   "Go's server takes a setting that comes twice in one frame for an attack, and closes the connection",
	"http2/8.1.2.2/1": "Go's server answers a malformed request with 400 before it ends the stream, as RFC 9113, 8.1.1 lets it",
	"http2/8.1.2.2/2": "the same",
}

// TestH2Spec runs h2spec, RFC 7540 and RFC 7541 as tests, against the gateway.
func TestH2Spec(t *testing.T) {
	w := newWorld(t, func(cfg *gateway.Config) { cfg.Host = func(string) string { return "127.0.0.1" } }) // which h2spec can look up
	w.route(ping)
	w.arm(ping, 1).serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, strings.Repeat("x", 1000))
	}))
	res, err := w.client.Get("http://" + w.addr) // what follows is about the wire, not about a cold start
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("got %+v, %v", res, err)
	}
	res.Body.Close()
	for _, group := range []*spec.TestGroup{generic.Spec(), http2.Spec(), hpack.Spec()} {
		runSpec(t, w, group)
	}
}

func runSpec(t *testing.T, w *world, group *spec.TestGroup) {
	for i, test := range append(group.Tests, group.StrictTests...) {
		id := fmt.Sprintf("%s/%d", group.ID(), i+1)
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			err := runSpecTest(w, test)
			reason, known := knownFailures[id]
			switch {
			case errors.Is(err, spec.ErrSkipped):
				t.Skip(err)
			case err != nil && known:
				t.Logf("%s: %v: %s", test.Desc, err, reason)
			case err != nil:
				t.Errorf("%s: %s: %v", test.Desc, test.Requirement, err)
			case known:
				t.Errorf("%s: it does not fail any more", test.Desc)
			}
		})
	}
	for _, g := range group.Groups {
		runSpec(t, w, g)
	}
}

func runSpecTest(w *world, test *spec.TestCase) error {
	addr, err := net.ResolveTCPAddr("tcp", w.addr)
	if err != nil {
		return err
	}
	c := &config.Config{Host: addr.IP.String(), Port: addr.Port, Path: "/", Timeout: 2 * time.Second, MaxHeaderLen: 4000, Strict: true}
	conn, err := spec.Dial(c)
	if err != nil {
		return err
	}
	defer conn.Close()
	return test.Run(c, conn)
}
