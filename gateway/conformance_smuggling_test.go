package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/fnctl/fnctl/gateway/testdata/smuggling"
)

// ledger is an app that answers with what it was asked, and remembers each request that it has read to the end.
type ledger struct {
	mu   sync.Mutex
	seen []string
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	request := fmt.Sprintf("%s %s %d", r.Method, r.RequestURI, n)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, request)
	fmt.Fprint(w, request)
}

// take returns what was seen since the last call.
func (l *ledger) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}

// Client, gateway and app agree on every request of the corpus, whatever was sent.
func TestSmuggling(t *testing.T) {
	cases, err := smuggling.Cases()
	if err != nil {
		t.Fatal(err)
	}
	var app ledger
	w := withApp(t, app.ServeHTTP)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			conn, err := net.Dial("tcp", w.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			outcome, err := c.Send(conn.(*net.TCPConn), "ping.localhost")
			if err == nil {
				err = c.Check(outcome, app.take())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	if late := app.take(); len(late) > 0 {
		t.Errorf("the app saw %q after all was over", late)
	}
}
