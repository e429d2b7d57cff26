package acme

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// TestMain is the test, the manager that a test kills, or the hook that makes records of the DNS.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("FNCTL_TEST_HOOK") != "":
		os.Exit(callHook(os.Getenv("FNCTL_TEST_HOOK"), os.Args[1:]))
	case os.Getenv("FNCTL_TEST_MANAGER") != "":
		os.Exit(runChild(os.Getenv("FNCTL_TEST_MANAGER")))
	}
	os.Exit(m.Run())
}

// pebble is a real authority, with the DNS that it asks.
type pebble struct {
	*httptest.Server
	dns *challtestsrv.ChallSrv
	// down has it answer nothing; hook is called with each request before, and after, it is answered.
	down                       atomic.Bool
	hook                       atomic.Pointer[func(r *http.Request, after bool)]
	requests, orders, accounts atomic.Int64
}

// newPebble starts one that looks for hosts at two ports of this machine, and whose certificates live for a time.
func newPebble(t *testing.T, httpPort, tlsPort int, life time.Duration) *pebble {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	if os.Getenv("PEBBLE_WFE_NONCEREJECT") == "" {
		t.Setenv("PEBBLE_WFE_NONCEREJECT", "0") // so that orders can be counted
	}
	quiet := log.New(io.Discard, "", 0)
	address := freeAddress(t)
	dns, err := challtestsrv.New(challtestsrv.Config{Log: quiet, DNSAddrs: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	dns.SetDefaultDNSIPv6("")
	dns.Run()
	t.Cleanup(dns.Shutdown)
	eventually(t, "the DNS answers", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	storage := db.NewMemoryStore()
	profiles := map[string]ca.Profile{"default": {Description: "default", ValidityPeriod: uint64(life / time.Second)}}
	issuing := ca.New(quiet, storage, "", "ecdsa", 0, 1, profiles)
	front := wfe.New(quiet, storage, va.New(quiet, httpPort, tlsPort, false, address, storage), issuing, []string{"pebble.letsencrypt.org"}, false, false, 0, 0)
	p := &pebble{dns: dns}
	handler := front.Handler()
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		hook := p.hook.Load()
		if hook != nil {
			(*hook)(r, false)
		}
		if p.down.Load() {
			panic(http.ErrAbortHandler)
		}
		switch r.URL.Path {
		case "/order-plz":
			p.orders.Add(1)
		case "/sign-me-up":
			p.accounts.Add(1)
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if hook != nil {
			(*hook)(r, true)
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	}))
	p.Config.ErrorLog = quiet
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func (p *pebble) directory() string { return p.URL + wfe.DirectoryPath }

// freeAddress is an address of this machine at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// gateway answers for hosts as the gateway does.
type gateway struct {
	http, tls  *httptest.Server
	challenges atomic.Pointer[certificates.Challenges]
}

func newGateway(t *testing.T, challenges certificates.Challenges) *gateway {
	t.Helper()
	g := &gateway{}
	g.challenges.Store(&challenges)
	g.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, is := strings.CutPrefix(r.URL.Path, certificates.ChallengePath)
		authorization, found := g.challenges.Load().HTTP(token)
		if !is || !found {
			http.NotFound(w, r)
			return
		}
		w.Write(authorization)
	}))
	g.tls = httptest.NewUnstartedServer(http.NotFoundHandler())
	g.tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.tls.TLS = &tls.Config{NextProtos: []string{"acme-tls/1"}, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		pair, err := g.challenges.Load().ALPN(hello.ServerName)
		if err != nil {
			return nil, err
		}
		return &tls.Config{Certificates: []tls.Certificate{pair.TLS}, NextProtos: []string{"acme-tls/1"}}, nil
	}}
	g.tls.StartTLS()
	t.Cleanup(g.http.Close)
	t.Cleanup(g.tls.Close)
	return g
}

func portOf(t *testing.T, server *httptest.Server) int {
	t.Helper()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// world is a machine with an authority.
type world struct {
	*testing.T
	paths    platform.Paths
	settings platform.Settings
	gateway  *gateway
	pebble   *pebble
	ahead    atomic.Int64 // of the machine's clock, in nanoseconds
	log      *logged
	manager  *Manager
	stop     func()
	steps    atomic.Int64 // that the manager has made
	underWay atomic.Int64
}

// certificateLife is that of pebble's certificates.
const certificateLife = 90 * 24 * time.Hour

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, paths: platform.Paths{Root: t.TempDir()}, settings: platform.DefaultSettings(), log: &logged{}}
	makeDirs(t, w.paths)
	w.gateway = newGateway(t, certificates.ChallengesOf(w.paths))
	w.pebble = newPebble(t, portOf(t, w.gateway.http), portOf(t, w.gateway.tls), certificateLife)
	root := filepath.Join(w.paths.Root, "root.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.pebble.Certificate().Raw})
	if err := os.WriteFile(root, text, 0o600); err != nil {
		t.Fatal(err)
	}
	w.settings.ACME.Directories, w.settings.ACME.RootCA = []string{w.pebble.directory()}, root
	t.Cleanup(func() {
		w.end()
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	return w
}

// makeDirs makes the directories that the package makes.
func makeDirs(t *testing.T, paths platform.Paths) {
	t.Helper()
	for _, dir := range []string{"var/lib/fnctl-acme", "var/lib/fnctl/functions", "var/lib/fnctl/certificates", "run/fnctl-acme/http-01", "run/fnctl-acme/tls-alpn-01"} {
		if err := os.MkdirAll(filepath.Join(paths.Root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

// move moves the clock of the machine.
func (w *world) move(by time.Duration) {
	w.ahead.Add(int64(by))
	w.manager.poke(w.manager.changed)
}

// run starts the service.
func (w *world) run() {
	w.Helper()
	m, err := New(Config{Paths: w.paths, Settings: w.settings, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	if err != nil {
		w.Fatal(err)
	}
	m.now, m.pause = w.now, 0
	m.stepped = func(underWay int) {
		w.underWay.Store(int64(underWay))
		w.steps.Add(1)
	}
	w.manager = m
	ctx, cancel := contextOf(w.T)
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("the service ended: %v", err)
		}
	})
}

// end ends it, if it runs.
func (w *world) end() {
	if w.stop != nil {
		w.stop()
	}
}

func (w *world) route(function string, hosts ...string) {
	w.Helper()
	putRoute(w.T, w.paths, function, hosts...)
}

func putRoute(t testing.TB, paths platform.Paths, function string, hosts ...string) {
	t.Helper()
	store := platform.Store{Paths: paths}
	route := platform.Route{Function: function, Hosts: hosts, Traffic: []platform.TrafficShare{{
		Revision: platform.RevisionID{Function: function, Number: 1}, Percent: 100, Timeouts: platform.DefaultConfig().Timeouts,
	}}}
	if err := errors.Join(store.MakeFunction(function), store.PutRoute(route)); err != nil {
		t.Fatal(err)
	}
}

// pair is the certificate of a host, nil if there is none.
func (w *world) pair(host string) *certificates.Pair {
	pair, err := certificates.StoreOf(w.paths).Read(host)
	if err != nil {
		return nil
	}
	return pair
}

// certified waits for the certificate of a host that is not one before, and returns it.
func (w *world) certified(host string, not *certificates.Pair) *certificates.Pair {
	w.Helper()
	var pair *certificates.Pair
	w.eventually(host+" has a certificate", func() bool {
		pair = w.pair(host)
		return pair != nil && (not == nil || serialOf(pair) != serialOf(not))
	})
	return pair
}

// status waits for a status of a host that is as it should be.
func (w *world) status(host, what string, is func(certificates.HostStatus) bool) (s certificates.HostStatus) {
	w.Helper()
	w.eventually(host+": "+what, func() bool {
		all, err := certificates.ReadStatus(w.paths)
		if err != nil {
			return false
		}
		var has bool
		s, has = all.Of(host)
		return has && is(s)
	})
	return s
}

// settled reports whether the manager has nothing under way and nothing to do: of two steps, the second began after the call.
func (w *world) settled() bool {
	before := w.steps.Load()
	w.eventually("the manager makes steps", func() bool {
		w.manager.poke(w.manager.changed)
		return w.steps.Load() >= before+2
	})
	return w.underWay.Load() == 0
}

func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	eventually(w.T, what, is)
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

// shown lists what authorities are shown.
func (w *world) shown() []string {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(w.paths.Root, "run/fnctl-acme/*-01/*"))
	if err != nil {
		w.Fatal(err)
	}
	return files
}

// logged keeps what is logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
