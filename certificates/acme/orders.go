package acme

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// outcome is what became of an order.
type outcome struct {
	host    *host
	request Request
	before  saved // what was known of the host before
	issued  Issued
	err     error
}

// startOrders makes the orders that are due, as far as the limits go, and returns when the next one is.
func (m *Manager) startOrders(ctx context.Context, now time.Time) (next time.Time) {
	due, next := m.dueHosts(now)
	if m.lastOrder.After(now) { // the clock was ahead
		m.lastOrder = time.Time{}
	}
	for _, h := range due {
		if m.isNewer(h) {
			continue
		}
		if m.orders == maxOrders {
			return next // the end of one wakes
		}
		if free := m.lastOrder.Add(m.pause); free.After(now) {
			return earlier(next, free)
		}
		directory, free := m.authorityFor(now)
		if directory == "" {
			return earlier(next, free)
		}
		if !m.start(ctx, h, directory, now) {
			return next
		}
	}
	return next
}

// dueHosts lists the hosts for which an order is due, those without a certificate first, and says when the next one is.
func (m *Manager) dueHosts(now time.Time) (due []*host, next time.Time) {
	var renewals []*host
	for _, h := range m.sorted() {
		pair := m.cache.All()[h.name]
		if !h.wanted() || h.ordering || certificates.IsLocal(h.name) || pair != nil && pair.Origin == certificates.OriginFile {
			continue
		}
		if h.wildcard() && m.hook == nil {
			h.Error = oneLine(errNeedsDNS(h.name))
			continue
		}
		switch at := h.due(pair, now); {
		case at.After(now):
			next = earlier(next, at)
		case usable(pair, now):
			renewals = append(renewals, h)
		default:
			due = append(due, h)
		}
	}
	return append(due, renewals...), next
}

// isNewer reports whether a later version of fnctl wrote the certificate of a host, which is not replaced then.
func (m *Manager) isNewer(h *host) bool {
	_, err := m.store.Read(h.name)
	if !errors.Is(err, platform.ErrNewer) {
		return false
	}
	h.Error = oneLine(err)
	return true
}

// authorityFor returns the first authority that may be asked, "" if none may be, and when one may if only time is missing.
func (m *Manager) authorityFor(now time.Time) (directory string, free time.Time) {
	for _, directory := range m.settings.ACME.Directories {
		a := m.authority(directory)
		switch until := later(sane(a.Until, now), a.Budget.next(now)); {
		case until.After(now):
			free = earlier(free, until)
		case a.Failures > 0 && m.probing[directory]:
		default:
			return directory, now
		}
	}
	return "", free
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// authority is what is known of one.
func (m *Manager) authority(directory string) *authorityState {
	a := m.state.Authorities[directory]
	if a == nil {
		a = &authorityState{}
		m.state.Authorities[directory] = a
	}
	return a
}

// start makes one order, and reports whether it is under way: it is written down first.
func (m *Manager) start(ctx context.Context, h *host, directory string, now time.Time) bool {
	a := m.authority(directory)
	request := Request{Host: h.name, Directory: directory, Challenge: m.challengeFor(h)}
	if pair := m.cache.All()[h.name]; pair != nil && pair.Origin == certificates.OriginACME && h.Directory == directory {
		request.Replaces = pair.Leaf()
	}
	budget, before := a.Budget, h.begin(now)
	a.Budget.take(now)
	if !m.writeNow(now) {
		a.Budget, *h.saved, h.ordering = budget, before, false
		return false
	}
	m.probing[directory], m.lastOrder = a.Failures > 0, now
	m.orders++
	m.background.Go(func() {
		issued, err := m.issuer.Obtain(ctx, request)
		m.outcomes <- outcome{host: h, request: request, before: before, issued: issued, err: err}
	})
	return true
}

// challengeFor chooses how an authority is shown whose a host is: as it worked last, and after each failure in the next way.
func (m *Manager) challengeFor(h *host) string {
	kinds := []string{acme.ChallengeTypeHTTP01, acme.ChallengeTypeTLSALPN01}
	if h.wildcard() {
		kinds = nil
	}
	if m.hook != nil {
		kinds = append(kinds, acme.ChallengeTypeDNS01)
	}
	first := max(slices.Index(kinds, m.lastKind), 0)
	if at := slices.Index(kinds, h.Challenge); at >= 0 {
		first = at
	}
	return kinds[(first+h.Failures)%len(kinds)]
}

// finish takes note of what became of an order.
func (m *Manager) finish(o outcome) {
	now, h, a := m.now(), o.host, m.authority(o.request.Directory)
	m.orders--
	h.ordering = false
	delete(m.probing, o.request.Directory)
	log := m.log.With("host", h.name, "directory", o.request.Directory, "challenge", o.request.Challenge)
	err := o.err
	if err == nil {
		err = m.store.Write(h.name, certificates.OriginACME, o.issued.Key, o.issued.Chain)
	}
	var limited limitedError
	switch {
	case err == nil:
		m.cache.Reload(h.name)
		leaf := m.cache.All()[h.name].Leaf()
		h.succeeded(o.request, leaf, now)
		m.lastKind = o.request.Challenge
		if err := m.issuer.Forget(h.name); err != nil {
			log.Warn("remove an order that is fulfilled", "err", err)
		}
		a.reached()
		log.Info("got a certificate", "not_after", leaf.NotAfter)
		return
	case errors.Is(err, context.Canceled):
		*h.saved = o.before
		return
	case errors.Is(err, ErrAuthority), errors.As(err, &limited):
		a.failed(err, now)
	default:
		a.reached()
	}
	h.failed(err, o.before, now)
	log.Warn("got no certificate", "err", err, "failures", h.Failures, "next_try", later(h.NextTry, a.Until))
}

// reached notes that an authority has answered.
func (a *authorityState) reached() { a.Failures, a.Until, a.Error = 0, time.Time{}, "" }

// failed notes that an authority could not be reached, or limits what it is asked.
func (a *authorityState) failed(err error, now time.Time) {
	a.Failures++
	a.Until, a.Error = now.Add(backoff(a.Failures)), oneLine(err)
}
