package acme

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// toldIssuer issues certificates as a test tells it, and notes when it was asked: weeks pass in a moment.
type toldIssuer struct {
	testing.TB
	take time.Duration // for an order
	err  func(r Request) error

	mu     sync.Mutex
	asked  []time.Time
	byHost map[string]int
	now    int
	most   int // at once
}

func (i *toldIssuer) Obtain(ctx context.Context, r Request) (Issued, error) {
	i.mu.Lock()
	i.asked = append(i.asked, time.Now())
	i.byHost[r.Host]++
	i.now++
	i.most = max(i.most, i.now)
	i.mu.Unlock()
	select {
	case <-time.After(i.take):
	case <-ctx.Done():
		return Issued{}, ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.now--
	if i.err != nil {
		if err := i.err(r); err != nil {
			return Issued{}, err
		}
	}
	key, chain := selfSigned(i, r.Host, certificateLife)
	return Issued{Key: key, Chain: chain}, nil
}

func (i *toldIssuer) RenewalInfo(context.Context, string, *x509.Certificate) (window, error) {
	return window{}, errNoRenewalInfo
}

func (i *toldIssuer) Forget(string) error { return nil }

// attempts is how often a certificate of a host was asked for.
func (i *toldIssuer) attempts(host string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.byHost[host]
}

func (i *toldIssuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.asked)
}

// keeping runs a manager whose authority is told, with hosts, until it is ended.
func keeping(t *testing.T, paths platform.Paths, issuer *toldIssuer, hosts int) (m *Manager, end func()) {
	settings := platform.DefaultSettings()
	m, err := New(Config{Paths: paths, Settings: settings, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	issuer.TB, issuer.byHost = t, map[string]int{}
	m.issuer = issuer
	for i := range (hosts + 99) / 100 {
		var names []string
		for j := i * 100; j < min(hosts, i*100+100); j++ {
			names = append(names, fmt.Sprintf("h%d.example.com", j))
		}
		putRoute(t, paths, fmt.Sprintf("f%d", i), names...)
		m.routes.read([]string{fmt.Sprintf("f%d", i)}, false)
	}
	m.routes.known = true
	m.cache.Resync()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.keep(ctx) }()
	return m, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Many hosts make no storm: four orders at once, a pause between two, and no more than the authority takes of an account; a restart changes
// nothing about that.
func TestNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := platform.Paths{Root: t.TempDir()}
		makeDirs(t, paths)
		const hosts = 300
		issuer := &toldIssuer{take: 5 * time.Second}
		begin := time.Now()
		_, end := keeping(t, paths, issuer, hosts)
		time.Sleep(5 * time.Minute)
		end()
		first := issuer.asked
		time.Sleep(time.Second)
		again := &toldIssuer{take: 20 * time.Second}
		_, end = keeping(t, paths, again, hosts)
		time.Sleep(80 * time.Minute)
		end()
		if again.most != maxOrders {
			t.Errorf("%d orders at once", again.most)
		}
		all := append(first, again.asked...)
		if len(all) > hosts+maxOrders { // those that the restart interrupted are made again
			t.Errorf("got %d orders", len(all))
		}
		for n, at := range all {
			if n > 0 && at.Sub(all[n-1]) < min(orderPause, time.Second) {
				t.Errorf("order %d came %v after the one before", n, at.Sub(all[n-1]))
			}
			if allowed := maxBudget + 1 + int(at.Sub(begin)/budgetRefill); n+1 > allowed {
				t.Fatalf("%d orders after %v, %d are allowed", n+1, at.Sub(begin), allowed)
			}
		}
		got, err := certificates.StoreOf(paths).Hosts()
		if err != nil || len(got) != hosts {
			t.Errorf("%d hosts have a certificate, %v", len(got), err)
		}
	})
}

// A host that is refused is tried again less and less, for weeks, and does not keep others waiting.
func TestRefusedForWeeks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := platform.Paths{Root: t.TempDir()}
		makeDirs(t, paths)
		issuer := &toldIssuer{err: func(r Request) error {
			if r.Host == "h0.example.com" {
				return errors.New("refused")
			}
			return nil
		}}
		m, end := keeping(t, paths, issuer, 3)
		time.Sleep(14 * 24 * time.Hour)
		// In the first day some thirteen, then four a day.
		before := issuer.attempts("h0.example.com")
		if others := issuer.attempts("h1.example.com") + issuer.attempts("h2.example.com"); before < 40 || before > 70 || others != 2 {
			t.Errorf("got %d attempts, and %d for the two others", before, others)
		}
		m.Retry() // whoever has mended it need not wait
		synctest.Wait()
		if got := issuer.attempts("h0.example.com"); got != before+1 {
			t.Errorf("got %d attempts, %d before", got, before)
		}
		end()
	})
}

// A service that is killed again and again in the middle of an order asks no more often than one that fails.
func TestKilledInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := platform.Paths{Root: t.TempDir()}
		makeDirs(t, paths)
		putRoute(t, paths, "shop", "shop.example.com")
		orders := 0
		for begin := time.Now(); time.Since(begin) < 24*time.Hour; {
			issuer := &toldIssuer{take: time.Hour}
			m, err := New(Config{Paths: paths, Settings: platform.DefaultSettings(), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			issuer.TB, issuer.byHost, m.issuer = t, map[string]int{}, issuer
			m.routes.read([]string{"shop"}, true)
			ctx, cancel := context.WithCancel(t.Context())
			m.step(ctx) // it starts the order, and is killed: what it would write down at its end is not
			synctest.Wait()
			orders += issuer.count()
			cancel()
			m.background.Wait()
			time.Sleep(50 * time.Second)
		}
		if orders < 8 || orders > 14 {
			t.Errorf("got %d orders in a day", orders)
		}
	})
}

// While an authority cannot be reached one host at a time finds out, for all; and once it is back, all are served.
func TestAuthorityDownForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := platform.Paths{Root: t.TempDir()}
		makeDirs(t, paths)
		down := true
		issuer := &toldIssuer{take: 10 * time.Second}
		issuer.err = func(Request) error {
			if down {
				return fmt.Errorf("%w: connection refused", ErrAuthority)
			}
			return nil
		}
		_, end := keeping(t, paths, issuer, 100)
		time.Sleep(3 * 24 * time.Hour)
		if got := issuer.count(); got > maxOrders+25 {
			t.Errorf("got %d attempts in three days", got)
		}
		issuer.mu.Lock()
		down = false
		issuer.mu.Unlock()
		time.Sleep(8*time.Hour + 30*time.Minute)
		end()
		if got, err := certificates.StoreOf(paths).Hosts(); err != nil || len(got) != 100 {
			t.Errorf("%d hosts have a certificate, %v", len(got), err)
		}
	})
}

// An authority that limits one host, or fails because of it, serves the others.
func TestLimitedHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paths := platform.Paths{Root: t.TempDir()}
		makeDirs(t, paths)
		issuer := &toldIssuer{err: func(r Request) error {
			if r.Host == "h0.example.com" {
				return limitedError{errors.New("too many certificates"), 10 * time.Hour}
			}
			return nil
		}}
		_, end := keeping(t, paths, issuer, 20)
		time.Sleep(9 * time.Hour)
		end()
		if got, err := certificates.StoreOf(paths).Hosts(); err != nil || len(got) != 19 || issuer.byHost["h0.example.com"] != 1 {
			t.Errorf("%d hosts have a certificate, %v; the limited one was tried %d times", len(got), err, issuer.byHost["h0.example.com"])
		}
	})
}
