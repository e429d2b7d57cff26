//go:build e2e

// Command steady sends requests at a constant rate, whatever becomes of those before, until it is told to end: every other
// one on a connection of its own, and every other pair is a POST. Each has a number of its own as its query. Then it prints what
// came of each. It runs on the machine itself, so that the tests around it don't slow it down.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Sent is one request.
type Sent struct {
	ID    string        `json:"id,omitempty"` // the query of a POST
	Began time.Time     `json:"began"`
	Took  time.Duration `json:"took"`
	Kept  bool          `json:"kept,omitempty"` // on a connection that an earlier request had made
	Error string        `json:"error,omitempty"`
}

// load is what is sent, and the clients that send it.
type load struct {
	url, name   string
	slow        int // every so many; 0: none
	kept, fresh *http.Client
	mu          sync.Mutex
	all         []Sent
}

func main() {
	var (
		url  = flag.String("url", "", "`URL` to ask for")
		name = flag.String("name", "steady", "`TEXT` that the numbers begin with")
		rate = flag.Int("rate", 500, "`NUMBER` of requests a second")
		slow = flag.Int("slow", 0, "one request of `NUMBER` says that it wants to take longer")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l := &load{url: *url, name: *name, slow: *slow, kept: newClient(), fresh: newClient()}
	l.fresh.Transport.(*http.Transport).DisableKeepAlives = true
	l.run(ctx, *rate)
	encoder := json.NewEncoder(os.Stdout)
	for _, one := range l.all {
		if err := encoder.Encode(one); err != nil {
			fmt.Fprintln(os.Stderr, "steady: error:", err)
			os.Exit(1)
		}
	}
}

// newClient makes one that connects to this machine, whatever the name.
func newClient() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 1000,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}}
}

// run returns when the context has ended and all that was sent is answered.
func (l *load) run(ctx context.Context, rate int) {
	var wg sync.WaitGroup
	began := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		time.Sleep(time.Until(began.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		wg.Go(func() { l.send(n) })
	}
	wg.Wait()
}

func (l *load) send(n int) {
	client, method, query, one := l.kept, http.MethodGet, fmt.Sprintf("%s-%d", l.name, n), Sent{}
	if n%2 == 1 {
		client = l.fresh
	}
	if l.slow > 0 && n%l.slow == 0 {
		query += "-slow"
	}
	if n%4 >= 2 {
		method, one.ID = http.MethodPost, query
	}
	one.Began = time.Now()
	trace := &httptrace.ClientTrace{GotConn: func(conn httptrace.GotConnInfo) { one.Kept = conn.Reused }}
	if err := ask(httptrace.WithClientTrace(context.Background(), trace), client, method, l.url+"?"+query); err != nil {
		one.Error = err.Error()
	}
	one.Took = time.Since(one.Began)
	l.mu.Lock()
	l.all = append(l.all, one)
	l.mu.Unlock()
}

// ask expects 200.
func ask(ctx context.Context, client *http.Client, method, url string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}
