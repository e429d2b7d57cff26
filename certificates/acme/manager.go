package acme

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/mholt/acmez/v3/acme"
	"golang.org/x/sync/errgroup"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/certificates/authority"
	"github.com/fnctl/fnctl/platform"
)

const (
	// maxOrders is how many orders are under way at once, and orderPause what passes between the starts of two.
	maxOrders  = 4
	orderPause = 2 * time.Second
	// lookAgain bounds how long a change of the clock goes unnoticed.
	lookAgain = 5 * time.Minute
)

// Config is what a Manager is made of.
type Config struct {
	Paths    platform.Paths
	Settings platform.Settings
	// Version is that of fnctl, which authorities are told.
	Version string
	Log     *slog.Logger
}

// issuer makes certificates.
type issuer interface {
	Obtain(ctx context.Context, r Request) (Issued, error)
	RenewalInfo(ctx context.Context, directory string, leaf *x509.Certificate) (window, error)
	Forget(host string) error
}

// Manager keeps the certificates of the hosts that routes have.
type Manager struct {
	paths    platform.Paths
	settings platform.Settings
	log      *slog.Logger
	store    certificates.Store
	cache    *certificates.Cache
	routes   *routes
	issuer   issuer
	hook     *dnsHook // nil: there is none
	now      func() time.Time
	pause    time.Duration
	// stepped is told after each step how much is under way; only tests set it.
	stepped func(underWay int)

	changed  chan struct{}
	again    chan struct{}
	outcomes chan outcome
	answers  chan answer

	// The rest belongs to the loop.
	state      *state
	hosts      map[string]*host
	reads      int  // of routes, with the last of which the hosts were learned
	known      bool // they were learned
	complete   bool // from all routes that there are
	own        *authority.Authority
	background sync.WaitGroup
	orders     int
	lastOrder  time.Time
	probing    map[string]bool // authorities that have failed, and of which one order shows whether they are back
	asking     bool
	lastKind   string  // the kind of challenge that worked last
	written    written // the state
	published  written // the status
}

// New makes a Manager. Its directories have to be there.
func New(config Config) (*Manager, error) {
	dir := privateDir(config.Paths)
	settings := config.Settings.ACME
	client, err := newHTTPClient(settings.RootCA)
	if err != nil {
		return nil, err
	}
	known, err := readState(filepath.Join(dir, "state.json"), config.Log)
	if err != nil {
		return nil, err
	}
	challenges := certificates.ChallengesOf(config.Paths)
	solvers := map[string]solver{acme.ChallengeTypeHTTP01: httpSolver{challenges}, acme.ChallengeTypeTLSALPN01: alpnSolver{challenges}}
	var hook *dnsHook
	if settings.DNS.Hook != "" {
		hook = &dnsHook{program: settings.DNS.Hook, made: &records{file: filepath.Join(dir, "dns-records.json")}}
		solvers[acme.ChallengeTypeDNS01] = hook
	}
	store := certificates.StoreOf(config.Paths)
	m := &Manager{
		paths: config.Paths, settings: config.Settings, log: config.Log, store: store, cache: certificates.NewCache(store, config.Log),
		routes: &routes{
			store: platform.Store{Paths: config.Paths}, log: config.Log, good: map[string]platform.Route{}, bad: map[string]bool{},
		},
		issuer: &Client{
			dir: dir, email: settings.Email, http: client, solvers: solvers, userAgent: "fnctl/" + cmp.Or(config.Version, "devel"), log: config.Log,
			clients: map[string]*acme.Client{},
		},
		hook: hook, now: time.Now, pause: orderPause,
		changed: make(chan struct{}, 1), again: make(chan struct{}, 1), outcomes: make(chan outcome, maxOrders), answers: make(chan answer, 1),
		state: known, hosts: map[string]*host{}, probing: map[string]bool{},
	}
	for name, saved := range known.Hosts {
		m.hosts[name] = &host{saved: saved, name: name}
	}
	return m, nil
}

// privateDir is the directory that only the service reads.
func privateDir(paths platform.Paths) string { return filepath.Join(paths.Root, "/var/lib/fnctl-acme") }

func (m *Manager) dir() string { return privateDir(m.paths) }

// Run keeps the certificates until the context ends.
func (m *Manager) Run(ctx context.Context) error {
	if _, err := os.ReadDir(m.store.Dir); err != nil {
		return platform.WithHint(err, "the package makes it; by hand: systemd-tmpfiles --create fnctl.conf")
	}
	if err := m.tidy(); err != nil {
		return fmt.Errorf("remove what was left before: %w", err)
	}
	m.cache.Resync() // without it all hosts would seem to have none
	group, ctx := errgroup.WithContext(ctx)
	functions := &platform.FunctionsFollower{Paths: m.paths, Log: m.log, Changes: func(names []string, all bool) {
		m.routes.read(names, all)
		m.poke(m.changed)
	}}
	group.Go(func() error { return platform.Follow(ctx, functions, m.log) })
	group.Go(func() error {
		return platform.Follow(ctx, noticed{m.cache, func() { m.poke(m.changed) }}, m.log)
	})
	group.Go(func() error { return m.keep(ctx) })
	if m.hook != nil {
		group.Go(func() error {
			m.hook.removeLeft(ctx, m.log)
			return nil
		})
	}
	return group.Wait()
}

// Retry has everything that waits after a failure tried at once.
func (m *Manager) Retry() { m.poke(m.again) }

// poke wakes the loop.
func (m *Manager) poke(why chan struct{}) {
	select {
	case why <- struct{}{}:
	default: // it is about to wake
	}
}

// noticed is a cache whose changes are told.
type noticed struct {
	*certificates.Cache
	changed func()
}

// Resync implements platform.Follower.
func (n noticed) Resync() {
	n.Cache.Resync()
	n.changed()
}

// Changed implements platform.Follower.
func (n noticed) Changed(w *fsnotify.Watcher, events []fsnotify.Event) {
	n.Cache.Changed(w, events)
	n.changed()
}

// keep decides what is to be done whenever something has changed or is due, until the context ends.
func (m *Manager) keep(ctx context.Context) error {
	defer m.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-m.changed:
		case <-m.again:
			m.forgive()
		case o := <-m.outcomes:
			m.finish(o)
		case a := <-m.answers:
			m.told(a)
		}
		timer.Reset(min(max(m.step(ctx).Sub(m.now()), 0), lookAgain))
	}
}

// stop waits for what is under way, which the end of the context has interrupted, and writes down what came of it.
func (m *Manager) stop() {
	m.background.Wait()
	for {
		select {
		case o := <-m.outcomes:
			m.finish(o)
		case a := <-m.answers:
			m.told(a)
		default:
			m.published.at, m.written.at = time.Time{}, time.Time{}
			m.publish(m.now())
			m.writeDown(m.now())
			return
		}
	}
}

// forgive forgets what is waited for after failures.
func (m *Manager) forgive() {
	for _, h := range m.hosts {
		h.NextTry = time.Time{}
	}
	for _, a := range m.state.Authorities {
		a.Failures, a.Until, a.Error = 0, time.Time{}, ""
	}
}

// step starts what is due, and returns when there is something to do next.
func (m *Manager) step(ctx context.Context) (next time.Time) {
	now := m.now()
	next = now.Add(lookAgain)
	if m.learnHosts(now) {
		m.removeUnwanted(now)
		m.signOwn(now)
		next = earlier(next, m.startOrders(ctx, now))
		next = earlier(next, m.askRenewal(ctx, now))
		next = earlier(next, m.publish(now))
	}
	next = earlier(next, m.writeDown(now))
	if m.stepped != nil {
		underWay := m.orders
		if m.asking {
			underWay++
		}
		m.stepped(underWay)
	}
	return next
}

// earlier is the earlier of two times; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}
