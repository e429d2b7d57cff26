package acme

import (
	"crypto/x509"
	"math/rand/v2"
	"time"
)

const (
	// shortLife is the life of a certificate from which on one is short: it is renewed at its half, others at two thirds
	// (https://letsencrypt.org/docs/integration-guide/).
	shortLife = 10 * 24 * time.Hour
	// renewalCheck is how often an authority is asked when a certificate is to be renewed, if it doesn't say (RFC 9773, section 4.3.2, asks
	// for six hours after a failure, too); firstCheck and lastCheck bound what it says.
	renewalCheck = 6 * time.Hour
	firstCheck   = time.Minute
	lastCheck    = 24 * time.Hour
)

// window is the time in which an authority wants a certificate to be renewed. One that is over means at once.
type window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
	// RetryAfter is after how long it is to be asked again; 0: it didn't say.
	RetryAfter time.Duration `json:"-"`
}

// renewal is what an authority has said about one certificate.
type renewal struct {
	// Serial is the number of the certificate.
	Serial string `json:"serial"`
	window
	// At is a time in the window, by chance.
	At time.Time `json:"at,omitzero"`
	// Check is when it is to be asked again.
	Check time.Time `json:"check"`
}

// told takes what an authority says, of which the start is before the end. A time in the window is chosen once, and again when the window is another one.
func (r renewal) told(w window, now time.Time) renewal {
	if !w.Start.Equal(r.Start) || !w.End.Equal(r.End) || r.At.IsZero() {
		r.At = w.Start.Add(time.Duration(rand.Int64N(int64(w.End.Sub(w.Start)) + 1)))
	}
	r.Check = now.Add(renewalCheck)
	if w.RetryAfter > 0 {
		r.Check = now.Add(min(max(w.RetryAfter, firstCheck), lastCheck))
	}
	r.window = window{Start: w.Start, End: w.End}
	return r
}

// usualRenewal is when a certificate is renewed of which an authority says nothing. Those that were made together are not renewed together:
// the number of each, which is by chance, decides about a twentieth of its life.
func usualRenewal(leaf *x509.Certificate) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	at := life / 3 * 2
	if life <= shortLife {
		at = life / 2
	}
	part := byte(0)
	if number := leaf.SerialNumber.Bytes(); len(number) > 0 {
		part = number[len(number)-1]
	}
	return leaf.NotBefore.Add(at - life/20*time.Duration(part)/256)
}

// latestRenewal is when a certificate is renewed whatever an authority says: there is time left for failures.
func latestRenewal(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 10)
}

// settling is how long a certificate is left alone that was just made.
func settling(leaf *x509.Certificate) time.Duration {
	return min(leaf.NotAfter.Sub(leaf.NotBefore)/4, 6*time.Hour)
}
