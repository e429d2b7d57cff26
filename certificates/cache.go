package certificates

import (
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fsnotify/fsnotify"
)

// Cache has the certificates of a store in memory, and keeps up with it: platform.Follow it. One that cannot be read stays as it was last
// good.
type Cache struct {
	store   Store
	log     *slog.Logger
	pairs   atomic.Pointer[map[string]*Pair] // by host; never changed, but replaced
	replace sync.Mutex
}

// NewCache makes one that is empty until it is followed or read.
func NewCache(store Store, log *slog.Logger) *Cache {
	c := &Cache{store: store, log: log}
	c.pairs.Store(&map[string]*Pair{})
	return c
}

// Find returns the certificate for a host, its own before that of a wildcard; nil if there is none.
func (c *Cache) Find(host string) *Pair {
	pairs := *c.pairs.Load()
	if p := pairs[host]; p != nil {
		return p
	}
	if _, below, has := strings.Cut(host, "."); has {
		return pairs["*."+below]
	}
	return nil
}

// All returns the certificates by host. They must not be changed.
func (c *Cache) All() map[string]*Pair { return *c.pairs.Load() }

// Dir implements platform.Follower.
func (c *Cache) Dir() string { return c.store.Dir }

// Watch implements platform.Follower.
func (c *Cache) Watch(w *fsnotify.Watcher) error { return w.Add(c.store.Dir) }

// Resync implements platform.Follower.
func (c *Cache) Resync() {
	c.replace.Lock()
	defer c.replace.Unlock()
	hosts, err := c.store.Hosts()
	if err != nil {
		c.log.Error("the certificates cannot be listed, those that were good stay", "err", err)
		return
	}
	before := *c.pairs.Load()
	next := make(map[string]*Pair, len(hosts))
	for _, host := range hosts {
		if p := c.read(host, before[host]); p != nil {
			next[host] = p
		}
	}
	c.pairs.Store(&next)
}

// Changed implements platform.Follower.
func (c *Cache) Changed(_ *fsnotify.Watcher, events []fsnotify.Event) {
	var hosts []string
	for _, event := range events {
		if host, is := hostOf(filepath.Base(event.Name)); is { // a file that is being written has another name
			hosts = append(hosts, host)
		}
	}
	if len(hosts) > 0 {
		c.Reload(hosts...)
	}
}

// Reload reads the certificates of hosts at once.
func (c *Cache) Reload(hosts ...string) {
	c.replace.Lock()
	defer c.replace.Unlock()
	next := maps.Clone(*c.pairs.Load())
	for _, host := range hosts {
		if p := c.read(host, next[host]); p != nil {
			next[host] = p
		} else {
			delete(next, host)
		}
	}
	c.pairs.Store(&next)
}

// read returns the certificate of a host, the one before if it cannot be read, and nil if there is none.
func (c *Cache) read(host string, before *Pair) *Pair {
	p, err := c.store.Read(host)
	switch {
	case err == nil:
		return p
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	c.log.Error("a certificate cannot be read, the last good one stays", "host", host, "err", err)
	return before
}
