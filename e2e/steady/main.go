//go:build e2e

// Command steady sends requests at a constant rate, whatever becomes of those before, until it is told to end: every other
// one on a connection of its own, and every other pair is a POST. Only a machine that is too slow for the rate gets fewer: no
// more than so many run at once. Each has a number of its own in its query. Then it prints
// what came of each. It runs on the machine itself, so that the tests around it don't slow it down.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Sent is one request.
type Sent struct {
	ID      string        `json:"id,omitempty"` // the query of a POST
	Began   time.Time     `json:"began"`
	Took    time.Duration `json:"took"`
	Connect time.Duration `json:"connect,omitempty"` // of Took: until there was a connection; 0 on one that was kept
	Error   string        `json:"error,omitempty"`
}

// load is what is sent, and the client that sends it.
type load struct {
	url    *url.URL
	name   string
	slow   int  // every so many; 0: none
	gets   bool // and no POST
	repeat bool // and a POST on no connection that was kept
	client *client
	mu     sync.Mutex
	all    []Sent
}

func main() {
	var (
		address = flag.String("url", "", "`URL` to ask for")
		name    = flag.String("name", "steady", "`TEXT` that the numbers begin with")
		rate    = flag.Int("rate", 500, "`NUMBER` of requests a second")
		slow    = flag.Int("slow", 0, "one request of `NUMBER` says that it wants to take longer")
		gets    = flag.Bool("gets", false, "no request is a POST")
		repeat  = flag.Bool("repeat", false, "a GET that is lost on a connection that was kept is repeated, and no POST is sent on one")
		most    = flag.Int("most", 100, "`NUMBER` of requests that may run at once")
		timeout = flag.Duration("timeout", time.Minute, "how long a request may take")
	)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	target, err := url.Parse(*address)
	if err != nil {
		fail(err)
	}
	l := &load{url: target, name: *name, slow: *slow, gets: *gets, repeat: *repeat, client: newClient(target, *timeout)}
	l.run(ctx, *rate, *most)
	encoder := json.NewEncoder(os.Stdout)
	for _, one := range l.all {
		if err := encoder.Encode(one); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "steady: error:", err)
	os.Exit(1)
}

// run returns when the context has ended and all that was sent is answered.
func (l *load) run(ctx context.Context, rate, most int) {
	var wg sync.WaitGroup
	running := make(chan struct{}, most)
	pause := time.NewTicker(time.Second / time.Duration(rate))
	defer pause.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
		running <- struct{}{}
		wg.Go(func() {
			l.send(n)
			<-running
		})
	}
	wg.Wait()
}

func (l *load) send(n int) {
	method, query, one := http.MethodGet, fmt.Sprintf("%s-%d", l.name, n), Sent{}
	if l.slow > 0 && n%l.slow == 0 {
		query += "-slow"
	}
	if n%4 >= 2 && !l.gets {
		method, one.ID = http.MethodPost, query
	}
	target := *l.url
	if target.RawQuery != "" {
		query = target.RawQuery + "&" + query
	}
	target.RawQuery = query
	one.Began = time.Now()
	keep := n%2 == 0 && (method == http.MethodGet || !l.repeat)
	connect, err := l.client.ask(method, &target, keep)
	for l.repeat && keep && connect == 0 && errors.Is(err, errLost) {
		connect, err = l.client.ask(method, &target, keep)
	}
	one.Took, one.Connect = time.Since(one.Began), connect
	if err != nil {
		one.Error = err.Error()
	}
	l.mu.Lock()
	l.all = append(l.all, one)
	l.mu.Unlock()
}
