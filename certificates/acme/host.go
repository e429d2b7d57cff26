package acme

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fnctl/fnctl/certificates"
)

// host is one that has, or is to have, a certificate.
type host struct {
	*saved
	name string
	// place is that in the order in which hosts get certificates; those that no route has come last.
	place int
	// ordering, asking: an order, or a question when to renew, is under way.
	ordering, asking bool
}

// wildcard reports whether the host is *.NAME.
func (h *host) wildcard() bool { return strings.HasPrefix(h.name, "*.") }

// wanted reports whether a route has the host.
func (h *host) wanted() bool { return h.Unwanted.IsZero() }

// usable reports whether a certificate serves.
func usable(pair *certificates.Pair, now time.Time) bool { return pair != nil && !pair.Expired(now) }

// renewAt is when a certificate of an authority is to be renewed.
func (h *host) renewAt(pair *certificates.Pair) time.Time {
	leaf := pair.Leaf()
	if pair.Origin == certificates.OriginACME && h.Renewal.Serial == serialOf(pair) && !h.Renewal.At.IsZero() {
		if latest := latestRenewal(leaf); h.Renewal.At.After(latest) {
			return latest
		}
		return h.Renewal.At
	}
	return usualRenewal(leaf)
}

// due is when the next order for the host is to be made, whatever limits there are.
func (h *host) due(pair *certificates.Pair, now time.Time) time.Time {
	at := now
	if usable(pair, now) {
		at = later(h.renewAt(pair), sane(h.Settled, now))
	}
	if retry := sane(h.NextTry, now); retry.After(at) {
		at = retry
	}
	return at
}

// serialOf is the number of a certificate.
func serialOf(pair *certificates.Pair) string { return pair.Leaf().SerialNumber.Text(16) }

// begin notes an attempt before it is made: one that is killed with the service has failed.
func (h *host) begin(now time.Time) (before saved) {
	before = *h.saved
	h.Failures++
	h.NextTry = now.Add(backoff(h.Failures))
	h.Error = "the attempt was interrupted"
	h.ordering = true
	return before
}

// succeeded notes what an order has brought.
func (h *host) succeeded(r Request, leaf *x509.Certificate, now time.Time) {
	*h.saved = saved{Directory: r.Directory, Challenge: r.Challenge, Unwanted: h.Unwanted, Settled: now.Add(settling(leaf))}
}

// failed notes why an order failed. One that never got as far as the host leaves it as it was before, but for the reason.
func (h *host) failed(err error, before saved, now time.Time) {
	var limited limitedError
	switch {
	case errors.Is(err, ErrAuthority):
		h.Failures, h.NextTry = before.Failures, before.NextTry
	case errors.As(err, &limited):
		if until := now.Add(min(limited.retryAfter, longestLimit)); until.After(h.NextTry) {
			h.NextTry = until
		}
	}
	h.Error = oneLine(err)
}

// maxError bounds the text of an error, in bytes.
const maxError = 400

// oneLine is the text of an error as one line.
func oneLine(err error) string {
	text := bytes.Join(bytes.Fields([]byte(strings.ToValidUTF8(err.Error(), "?"))), []byte(" "))
	if len(text) > maxError {
		return strings.ToValidUTF8(string(text[:maxError]), "") + "…"
	}
	return string(text)
}

// status is what is told of the host.
func (h *host) status(pair *certificates.Pair, now time.Time) certificates.HostStatus {
	s := certificates.HostStatus{Host: h.name, State: certificates.StatePending, Error: h.Error, Failures: h.Failures}
	if h.ordering { // what was noted is what would be so if it were killed
		s.Error, s.Failures = "", h.Failures-1
	} else if h.Failures > 0 {
		s.NextTry = sane(h.NextTry, now)
	}
	if pair != nil {
		s.Origin, s.NotAfter = pair.Origin, pair.Leaf().NotAfter
	}
	switch {
	case usable(pair, now):
		s.State = certificates.StateIssued
		if pair.Origin != certificates.OriginFile && h.wanted() {
			s.RenewAt = h.renewAt(pair)
		}
	case s.Error != "":
		s.State = certificates.StateFailed
	}
	if !h.wanted() {
		s.RemoveAt = h.removeAt(pair)
	}
	return s
}

// unwantedGrace is how long the certificate of a host is kept that no route has any more: a rollback, or another deploy, may want it again,
// and authorities limit how often they make the same.
const unwantedGrace = 7 * 24 * time.Hour

// removeAt is when the certificate of a host that nobody wants goes.
func (h *host) removeAt(pair *certificates.Pair) time.Time {
	at := h.Unwanted.Add(unwantedGrace)
	if pair != nil && pair.Leaf().NotAfter.Before(at) {
		return pair.Leaf().NotAfter
	}
	return at
}

// errNeedsDNS is why a wildcard gets no certificate.
func errNeedsDNS(host string) error {
	return fmt.Errorf("a certificate of %s needs acme.dns in fnctl.yml: authorities look for its owner in the DNS only", host)
}
