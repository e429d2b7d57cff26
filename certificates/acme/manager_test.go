package acme

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/fnctl/fnctl/certificates"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	return context.WithCancel(context.WithoutCancel(t.Context()))
}

func isIssued(s certificates.HostStatus) bool { return s.State == certificates.StateIssued }

// A host that a route has gets a certificate, in the way that works.
func TestIssue(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com/api", "www.example.com")
	w.run()
	for _, host := range []string{"shop.example.com", "www.example.com"} {
		pair := w.certified(host, nil)
		if err := pair.Leaf().VerifyHostname(host); err != nil || pair.Origin != certificates.OriginACME {
			t.Errorf("%s: %v, %v", host, err, pair.Origin)
		}
		s := w.status(host, "is issued", isIssued)
		if !s.NotAfter.Equal(pair.Leaf().NotAfter) || s.RenewAt.Before(time.Now().Add(certificateLife/2)) || s.RenewAt.After(s.NotAfter) || s.Error != "" {
			t.Errorf("%s: %+v", host, s)
		}
	}
	// What comes later is learned by its files.
	w.route("later", "later.example.com")
	w.certified("later.example.com", nil)
	w.eventually("nothing is shown any more", func() bool { return len(w.shown()) == 0 })
	left, err := filepath.Glob(filepath.Join(w.paths.Root, "var/lib/fnctl-acme/orders/*"))
	if err != nil || len(left) != 0 {
		t.Errorf("orders are left: %v, %v", left, err)
	}
	if got := w.pebble.orders.Load(); got != 3 {
		t.Errorf("got %d orders for 3 hosts", got)
	}
}

// Without HTTP the next attempt shows by TLS whose a host is, and the next host is shown so at once.
func TestChallenges(t *testing.T) {
	w := newWorld(t)
	w.gateway.http.Close()
	w.route("shop", "shop.example.com")
	w.run()
	s := w.status("shop.example.com", "failed", func(s certificates.HostStatus) bool { return s.State == certificates.StateFailed })
	if !strings.Contains(s.Error, "http-01") || !strings.Contains(s.Error, "connection refused") {
		t.Errorf("the error does not tell why: %s", s.Error)
	}
	if wait := s.NextTry.Sub(w.now()); wait < 50*time.Second || wait > 80*time.Second {
		t.Errorf("it is tried again after %v", wait)
	}
	w.move(2 * time.Minute)
	w.certified("shop.example.com", nil)
	w.route("other", "other.example.com")
	w.certified("other.example.com", nil)
	if got := w.pebble.orders.Load(); got != 3 {
		t.Errorf("got %d orders: the second host should have been shown by TLS at once", got)
	}
}

// A certificate is renewed when the authority says so, before it ends; and no more often, should the new one be due, too.
func TestRenew(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com")
	w.run()
	first := w.certified("shop.example.com", nil)
	s := w.status("shop.example.com", "is to be renewed in the authority's window", func(s certificates.HostStatus) bool {
		return isIssued(s) && !s.RenewAt.Equal(usualRenewal(first.Leaf()))
	})
	w.move(s.RenewAt.Sub(w.now()) - time.Minute)
	w.eventually("the step is over", func() bool { return w.settled() })
	if again := w.pair("shop.example.com"); serialOf(again) != serialOf(first) {
		t.Fatal("it was renewed too early")
	}
	w.move(2 * time.Minute)
	second := w.certified("shop.example.com", first)
	// By the moved clock the new one is due, too.
	w.move(time.Minute)
	w.move(time.Minute)
	w.eventually("the step is over", func() bool { return w.settled() })
	if third := w.pair("shop.example.com"); serialOf(third) != serialOf(second) || w.pebble.orders.Load() != 2 {
		t.Errorf("it was renewed again at once: %d orders", w.pebble.orders.Load())
	}
}

// A certificate that is revoked is replaced: the authority's window is over.
func TestRevoked(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com")
	w.run()
	first := w.certified("shop.example.com", nil)
	w.status("shop.example.com", "is issued", isIssued)
	client := w.manager.issuer.(*Client)
	account, err := client.account(t.Context(), client.of(w.pebble.directory()))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.of(w.pebble.directory()).RevokeCertificate(t.Context(), account, first.Leaf(), nil, acme.ReasonUnspecified); err != nil {
		t.Fatal(err)
	}
	w.move(renewalCheck + time.Hour) // by when the authority has been asked again
	w.certified("shop.example.com", first)
}

// An authority that is down for days costs nobody a certificate that is valid, is not asked more and more, and is back at once when it is.
func TestAuthorityDown(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com")
	w.run()
	first := w.certified("shop.example.com", nil)
	s := w.status("shop.example.com", "is to be renewed in the authority's window", func(s certificates.HostStatus) bool {
		return isIssued(s) && !s.RenewAt.Equal(usualRenewal(first.Leaf()))
	})
	w.pebble.down.Store(true)
	w.move(s.RenewAt.Sub(w.now()) + time.Minute)
	s = w.status("shop.example.com", "says that the authority is down", func(s certificates.HostStatus) bool { return s.Error != "" })
	if s.State != certificates.StateIssued || s.Failures != 0 || !s.NextTry.After(w.now()) {
		t.Errorf("while the authority is down: %+v", s)
	}
	w.pebble.requests.Store(0)
	for range 5 * 24 { // an hour each
		w.move(time.Hour)
		w.eventually("the step is over", w.settled)
	}
	// Once in six hours at most, three connections for each attempt.
	if got := w.pebble.requests.Load(); got < 15 || got > 5*4*6 {
		t.Errorf("the authority got %d requests in five days", got)
	}
	if pair := w.pair("shop.example.com"); pair == nil || serialOf(pair) != serialOf(first) {
		t.Error("the old certificate is gone")
	}
	// A restart is no reason to ask at once.
	w.end()
	w.pebble.requests.Store(0)
	w.run()
	w.eventually("the step is over", w.settled)
	if got := w.pebble.requests.Load(); got != 0 {
		t.Errorf("after a restart the authority got %d requests", got)
	}
	w.pebble.down.Store(false)
	w.move(longestWait * 5 / 4)
	w.certified("shop.example.com", first)
	s = w.status("shop.example.com", "says no error any more", func(s certificates.HostStatus) bool { return s.Error == "" })
	all, err := certificates.ReadStatus(w.paths)
	if err != nil || all.Paused != nil || s.Failures != 0 {
		t.Errorf("got %+v, %v", all, err)
	}
}

// A second authority makes what the first cannot.
func TestSecondAuthority(t *testing.T) {
	w := newWorld(t)
	w.settings.ACME.Directories = []string{"https://" + freeAddress(t) + "/dir", w.pebble.directory()}
	w.route("shop", "shop.example.com")
	w.run()
	w.certified("shop.example.com", nil)
}

// Two hundred hosts get theirs, though the authority rejects a part of the requests, with four orders at once at most.
func TestManyHosts(t *testing.T) {
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "15")
	w := newWorld(t)
	const count, each = manyHosts, 10
	for i := range count / each {
		var hosts []string
		for j := range each {
			hosts = append(hosts, fmt.Sprintf("h%d.example.com", i*each+j))
		}
		w.route(fmt.Sprintf("f%d", i), hosts...)
	}
	w.run()
	store := certificates.StoreOf(w.paths)
	for have := 0; have < count; {
		w.eventually(fmt.Sprintf("more than %d have one", have), func() bool {
			hosts, err := store.Hosts()
			more := err == nil && len(hosts) > have
			have = max(have, len(hosts))
			return more
		})
	}
	w.eventually("the last is published", func() bool {
		s, err := certificates.ReadStatus(w.paths)
		if err != nil {
			return false
		}
		for _, h := range s.Hosts {
			if !isIssued(h) {
				return false
			}
		}
		return len(s.Hosts) == count
	})
	w.eventually("nothing is shown any more", func() bool { return len(w.shown()) == 0 })
	if got := w.pebble.orders.Load(); got > count*5/4 {
		t.Errorf("got %d orders for %d hosts", got, count)
	}
}

// Hosts that no public authority knows get a certificate of the machine's own, which is renewed, and whose root is there to be trusted.
func TestOwnAuthority(t *testing.T) {
	w := newWorld(t)
	w.settings.Endpoint = "https://{name}.localhost:8443"
	w.route("shop", "nas", "*.home.arpa")
	w.run()
	root, err := os.ReadFile(certificates.RootFile(w.paths))
	w.eventually("the root is there", func() bool {
		root, err = os.ReadFile(certificates.RootFile(w.paths))
		return err == nil
	})
	var first *certificates.Pair
	for _, host := range []string{"shop.localhost", "nas", "*.home.arpa"} {
		pair := w.certified(host, nil)
		verifyOwn(t, pair, host, root, w.now())
		if pair.Origin != certificates.OriginInternal {
			t.Errorf("%s is of %s", host, pair.Origin)
		}
		first = pair
	}
	w.move(21 * 24 * time.Hour)
	verifyOwn(t, w.certified("*.home.arpa", first), "*.home.arpa", root, w.now())
	if got := w.pebble.requests.Load(); got != 0 {
		t.Errorf("the public authority was asked %d times", got)
	}
}

// A wildcard is shown in the DNS, and needs a hook for that.
func TestWildcard(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "*.example.com")
	w.run()
	s := w.status("*.example.com", "failed", func(s certificates.HostStatus) bool { return s.State == certificates.StateFailed })
	if !strings.Contains(s.Error, "acme.dns") {
		t.Errorf("got %q", s.Error)
	}
	w.end()
	w.settings.ACME.DNS.Hook = w.hook()
	w.run()
	pair := w.certified("*.example.com", nil)
	if err := pair.Leaf().VerifyHostname("any.example.com"); err != nil {
		t.Error(err)
	}
	w.eventually("no record is left", func() bool { return len(w.pebble.dns.GetDNSTXTRecords("_acme-challenge.example.com.")) == 0 })
}

// The certificate of a host that no route has is kept for a while, and no longer.
func TestUnwanted(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com")
	w.run()
	w.certified("shop.example.com", nil)
	w.status("shop.example.com", "is issued", isIssued)
	w.route("shop", "www.example.com")
	s := w.status("shop.example.com", "is to be removed", func(s certificates.HostStatus) bool { return !s.RemoveAt.IsZero() })
	if wait := s.RemoveAt.Sub(w.now()); wait > unwantedGrace || wait < unwantedGrace-time.Minute || !s.RenewAt.IsZero() {
		t.Errorf("got %+v", s)
	}
	w.move(unwantedGrace - time.Hour)
	w.eventually("the step is over", w.settled)
	if w.pair("shop.example.com") == nil {
		t.Fatal("it is gone too early")
	}
	// A rollback wants it again.
	w.route("shop", "shop.example.com", "www.example.com")
	w.status("shop.example.com", "is wanted", func(s certificates.HostStatus) bool { return s.RemoveAt.IsZero() })
	w.route("shop", "www.example.com")
	w.status("shop.example.com", "is to be removed", func(s certificates.HostStatus) bool { return !s.RemoveAt.IsZero() })
	w.move(2 * time.Hour)
	w.eventually("the step is over", w.settled)
	if w.pair("shop.example.com") == nil {
		t.Fatal("the grace did not begin anew")
	}
	w.move(unwantedGrace)
	w.eventually("it is gone", func() bool { return w.pair("shop.example.com") == nil })
	if w.pair("www.example.com") == nil {
		t.Error("the other one is gone, too")
	}
}

// A route that cannot be read costs nobody a certificate.
func TestDamagedRoute(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com")
	w.run()
	w.certified("shop.example.com", nil)
	w.status("shop.example.com", "is issued", isIssued)
	w.end()
	route := w.manager.routes.store.Paths.Route("shop")
	if err := os.WriteFile(route, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.run()
	w.eventually("the step is over", w.settled)
	if s := w.status("shop.example.com", "is issued", isIssued); !s.RemoveAt.IsZero() {
		t.Errorf("it is to be removed: %+v", s)
	}
	w.move(2 * unwantedGrace)
	w.eventually("the step is over", w.settled)
	w.move(time.Minute)
	w.eventually("the step is over", w.settled)
	if w.pair("shop.example.com") == nil {
		t.Error("the certificate is gone")
	}
}

// What the operator put there, or a later version wrote, stays.
func TestLeftAlone(t *testing.T) {
	w := newWorld(t)
	store := certificates.StoreOf(w.paths)
	key, chain := selfSigned(t, "own.example.com", time.Hour)
	if err := store.Write("own.example.com", certificates.OriginFile, key, chain); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(store.Dir, "newer.example.com.pem")
	if err := os.WriteFile(newer, []byte("fnctl certificate, format 2\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	w.route("shop", "own.example.com", "newer.example.com", "shop.example.com")
	w.run()
	w.certified("shop.example.com", nil)
	w.status("newer.example.com", "failed", func(s certificates.HostStatus) bool {
		return s.State == certificates.StateFailed && strings.Contains(s.Error, "later version")
	})
	w.move(2 * time.Hour)
	w.eventually("the step is over", w.settled)
	if pair := w.pair("own.example.com"); pair == nil || pair.Origin != certificates.OriginFile {
		t.Errorf("the operator's is now %+v", pair)
	}
	if text, err := os.ReadFile(newer); err != nil || string(text) != "fnctl certificate, format 2\n" {
		t.Errorf("got %q, %v", text, err)
	}
	if got := w.pebble.orders.Load(); got != 1 {
		t.Errorf("got %d orders", got)
	}
}

// An authority that has lost its accounts gets a new one, with the same key.
func TestLostAccount(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com")
	w.run()
	w.certified("shop.example.com", nil)
	w.status("shop.example.com", "is issued", isIssued)
	w.end()
	client := w.manager.issuer.(*Client)
	a, err := client.readAccount(w.pebble.directory())
	if err != nil {
		t.Fatal(err)
	}
	a.Location = w.pebble.URL + "/my-account/9999"
	if err := client.writeAccount(a); err != nil {
		t.Fatal(err)
	}
	w.route("other", "other.example.com")
	w.run()
	w.certified("other.example.com", nil)
	after, err := client.readAccount(w.pebble.directory())
	if err != nil || after.Key != a.Key || after.Location == a.Location {
		t.Errorf("got %+v, %v", after, err)
	}
}

// The clock was a year ahead when an attempt failed: when it is right again, nothing is waited for that long.
func TestClockWasAhead(t *testing.T) {
	w := newWorld(t)
	w.settings.Endpoint = "https://{name}.localhost"
	w.route("shop", "shop.example.com")
	w.ahead.Store(int64(365 * 24 * time.Hour))
	w.pebble.down.Store(true)
	w.run()
	w.status("shop.example.com", "failed", func(s certificates.HostStatus) bool { return s.Error != "" })
	first := w.certified("shop.localhost", nil)
	w.end()
	w.ahead.Store(0)
	w.pebble.down.Store(false)
	w.run()
	w.certified("shop.example.com", nil)
	pair := w.certified("shop.localhost", first)
	root, err := os.ReadFile(certificates.RootFile(w.paths))
	if err != nil {
		t.Fatal(err)
	}
	verifyOwn(t, pair, "shop.localhost", root, w.now())
}

// An authority that fails for one host does not keep the others waiting for long.
func TestFailingForOne(t *testing.T) {
	w := newWorld(t)
	w.pebble.dns.AddDNSServFailRecord("broken.example.com.")
	w.route("shop", "broken.example.com", "shop.example.com")
	w.run()
	w.certified("shop.example.com", nil)
	w.status("broken.example.com", "failed", func(s certificates.HostStatus) bool { return s.State == certificates.StateFailed })
}
