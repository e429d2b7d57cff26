package acme

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/certificates/authority"
	"github.com/fnctl/fnctl/platform"
)

// learnHosts takes over the hosts of the routes, and reports whether they are known.
func (m *Manager) learnHosts(now time.Time) bool {
	reads, changed := m.routes.changedSince(m.reads)
	if !changed {
		return m.known
	}
	var routes []platform.Route
	routes, m.known, m.complete = m.routes.all()
	if m.reads = reads; !m.known {
		return false
	}
	wanted := certificates.Wanted(m.settings, routes)
	is := make(map[string]bool, len(wanted))
	for place, name := range wanted {
		is[name] = true
		h := m.hostOf(name)
		h.place, h.Unwanted = place, time.Time{}
	}
	for name, pair := range m.cache.All() {
		if m.hosts[name] == nil && pair.Origin != certificates.OriginFile {
			m.hostOf(name).place = len(wanted)
		}
	}
	for name, h := range m.hosts {
		if is[name] {
			continue
		}
		h.place = len(wanted)
		if m.complete && (h.wanted() || h.Unwanted.After(now)) {
			h.Unwanted = now
		}
	}
	return true
}

// hostOf returns a host, which is made if it is new.
func (m *Manager) hostOf(name string) *host {
	h := m.hosts[name]
	if h == nil {
		h = &host{saved: &saved{}, name: name}
		m.hosts[name], m.state.Hosts[name] = h, h.saved
	}
	return h
}

// sorted lists the hosts in the order in which they get certificates.
func (m *Manager) sorted() []*host {
	return slices.SortedFunc(maps.Values(m.hosts), func(a, b *host) int {
		return cmp.Or(cmp.Compare(a.place, b.place), strings.Compare(a.name, b.name))
	})
}

// removeUnwanted removes the certificates of hosts that no route has had for long.
func (m *Manager) removeUnwanted(now time.Time) {
	for name, h := range m.hosts {
		pair := m.cache.All()[name]
		if !m.complete || h.wanted() || h.ordering || h.asking || pair != nil && now.Before(h.removeAt(pair)) {
			continue
		}
		if pair != nil && pair.Origin != certificates.OriginFile {
			if err := m.store.Remove(name); err != nil {
				m.log.Error("remove the certificate of a host that no route has", "host", name, "err", err)
				continue
			}
			m.cache.Reload(name)
			m.log.Info("removed the certificate of a host that no route has any more", "host", name)
		}
		if err := m.issuer.Forget(name); err != nil {
			m.log.Error("remove an order", "host", name, "err", err)
		}
		delete(m.hosts, name)
		delete(m.state.Hosts, name)
	}
}

// signOwn makes the certificates that no public authority makes.
func (m *Manager) signOwn(now time.Time) {
	for _, h := range m.sorted() {
		pair := m.cache.All()[h.name]
		if !h.wanted() || !certificates.IsLocal(h.name) || pair != nil && pair.Origin == certificates.OriginFile {
			continue
		}
		if sane(h.NextTry, now).After(now) || !m.wantsOwn(h, pair, now) {
			continue
		}
		if err := m.sign(h, now); err != nil {
			h.Failures++
			h.NextTry, h.Error = now.Add(backoff(h.Failures)), oneLine(err)
			m.log.Error("sign a certificate", "host", h.name, "err", err)
			continue
		}
		*h.saved = saved{}
	}
}

// wantsOwn reports whether a host is to get a new certificate of the machine's own authority. One that is not valid yet was made while the
// clock was ahead.
func (m *Manager) wantsOwn(h *host, pair *certificates.Pair, now time.Time) bool {
	if !usable(pair, now) || !now.Before(h.renewAt(pair)) || now.Before(pair.Leaf().NotBefore) {
		return true
	}
	return pair.Origin == certificates.OriginInternal && m.openOwn(now) == nil && !m.own.Signed(pair.Leaf())
}

func (m *Manager) sign(h *host, now time.Time) error {
	if err := m.openOwn(now); err != nil {
		return err
	}
	key, chain, err := m.own.Issue(h.name, now)
	if err != nil {
		return err
	}
	if err := m.store.Write(h.name, certificates.OriginInternal, key, chain); err != nil {
		return err
	}
	m.cache.Reload(h.name)
	return nil
}

// openOwn has the machine's own authority ready.
func (m *Manager) openOwn(now time.Time) error {
	if m.own != nil && m.own.Lasts(now) {
		return nil
	}
	machine, err := os.Hostname()
	if err != nil {
		return err
	}
	m.own, err = authority.Open(filepath.Join(m.dir(), "authority.pem"), certificates.RootFile(m.paths), machine, now)
	return err
}
