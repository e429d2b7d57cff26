package acme

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fnctl/fnctl/certificates"
)

// answer is what an authority says about when to renew a certificate.
type answer struct {
	host   *host
	serial string
	window window
	err    error
}

// askRenewal asks an authority when one of its certificates is to be renewed, one at a time, and returns when the next is to be asked for.
func (m *Manager) askRenewal(ctx context.Context, now time.Time) (next time.Time) {
	if m.asking {
		return time.Time{} // the answer wakes
	}
	for _, h := range m.sorted() {
		pair := m.cache.All()[h.name]
		directory := m.madeBy(h)
		if !h.wanted() || h.ordering || !usable(pair, now) || pair.Origin != certificates.OriginACME || directory == "" {
			continue
		}
		at := later(m.checkAt(h, pair, now), sane(m.authority(directory).Until, now))
		if at.After(now) {
			next = earlier(next, at)
			continue
		}
		m.asking, h.asking = true, true
		leaf, serial := pair.Leaf(), serialOf(pair)
		m.background.Go(func() {
			w, err := m.issuer.RenewalInfo(ctx, directory, leaf)
			m.answers <- answer{host: h, serial: serial, window: w, err: err}
		})
		return time.Time{}
	}
	return next
}

// madeBy is the authority that has made the certificate of a host, if it is still one of the settings. Of one whose maker is not known, the
// first is asked.
func (m *Manager) madeBy(h *host) string {
	all := m.settings.ACME.Directories
	if len(all) > 0 && (h.Directory == "" || slices.Contains(all, h.Directory)) {
		return cmp.Or(h.Directory, all[0])
	}
	return ""
}

// checkAt is when an authority is to be asked about a certificate.
func (m *Manager) checkAt(h *host, pair *certificates.Pair, now time.Time) time.Time {
	if h.Renewal.Serial != serialOf(pair) {
		return now
	}
	return sane(h.Renewal.Check, now)
}

// told takes note of an answer.
func (m *Manager) told(a answer) {
	m.asking, a.host.asking = false, false
	if errors.Is(a.err, context.Canceled) {
		return
	}
	known := a.host.Renewal
	if known.Serial != a.serial {
		known = renewal{Serial: a.serial}
	}
	if a.err == nil {
		known = known.told(a.window, m.now())
	} else {
		known.Check = m.now().Add(renewalCheck)
		if !errors.Is(a.err, errNoRenewalInfo) {
			m.log.Warn("ask when to renew a certificate", "host", a.host.name, "err", a.err)
		}
	}
	a.host.Renewal = known
}
