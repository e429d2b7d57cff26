package secure

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fnctl/fnctl/certificates"
)

// challengeProtocol is what an authority offers alone to see a TLS-ALPN-01 challenge (RFC 8737, section 4).
const challengeProtocol = "acme-tls/1"

// Outcome is how a handshake ended.
type Outcome string

// The outcomes of handshakes.
const (
	OutcomeDone          Outcome = "done"
	OutcomeResumed       Outcome = "resumed"        // with the keys of a connection before
	OutcomeChallenge     Outcome = "challenge"      // an authority has looked
	OutcomeNoCertificate Outcome = "no_certificate" // for the name that the client asked for
	OutcomeTimeout       Outcome = "timeout"
	OutcomeGone          Outcome = "gone"   // the client went away
	OutcomeFailed        Outcome = "failed" // the two do not agree, or the client speaks something else
)

// Outcomes are all of them.
var Outcomes = []Outcome{OutcomeDone, OutcomeResumed, OutcomeChallenge, OutcomeNoCertificate, OutcomeTimeout, OutcomeGone, OutcomeFailed}

// Certificates finds the certificate of a host; nil: there is none.
type Certificates interface {
	Find(host string) *certificates.Pair
}

// Guard decides how handshakes go. Its zero value, or a nil one, has no certificate at all.
type Guard struct {
	// Certificates of hosts.
	Certificates Certificates
	// Challenges that authorities may look for.
	Challenges certificates.Challenges
	// Noted is called with each outcome. It may be nil.
	Noted func(Outcome)
	// Logger is told of names without a certificate. It may be nil.
	Logger *slog.Logger

	once   sync.Once
	config *tls.Config
	told   news
}

// Config is how handshakes are done: TLS 1.2 with forward secrecy, and 1.3. The keys of session tickets are crypto/tls's own, which change
// daily and are those of one process.
func (g *Guard) Config() *tls.Config {
	g.once.Do(func() {
		g.config = &tls.Config{
			MinVersion:                  tls.VersionTLS12,
			CipherSuites:                suites(),
			NextProtos:                  []string{"h2", "http/1.1"},
			GetCertificate:              g.certificate,
			GetConfigForClient:          g.configFor,
			DynamicRecordSizingDisabled: true, // a response is written in one piece, and small ones are small anyway
		}
	})
	return g.config
}

// suites are those of TLS 1.2 that crypto/tls has no doubts about and that have forward secrecy and authenticated encryption.
func suites() []uint16 {
	var ids []uint16
	for _, suite := range tls.CipherSuites() {
		if strings.HasPrefix(suite.Name, "TLS_ECDHE_") && !strings.Contains(suite.Name, "_CBC_") {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

// host is the name that a client asks for as routes have it.
func host(hello *tls.ClientHelloInfo) string {
	return strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
}

// certificate implements tls.Config.GetCertificate. Without a certificate the client is told that the name is not known.
func (g *Guard) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := host(hello)
	if g.Certificates == nil || name == "" {
		return nil, nil
	}
	pair := g.Certificates.Find(name)
	if pair == nil {
		g.tellMissing(name)
		return nil, nil
	}
	return &pair.TLS, nil
}

// configFor implements tls.Config.GetConfigForClient: who asks for a challenge gets nothing else.
func (g *Guard) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if !slices.Equal(hello.SupportedProtos, []string{challengeProtocol}) {
		return nil, nil
	}
	pair, err := g.Challenges.ALPN(host(hello))
	if err != nil {
		return nil, errors.New("nobody has asked for a challenge of this name")
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{challengeProtocol}, Certificates: []tls.Certificate{pair.TLS}, SessionTicketsDisabled: true,
	}, nil
}

// tellMissing tells the operator of a name without a certificate, within bounds: whoever connects chooses the name.
func (g *Guard) tellMissing(name string) {
	if g.Logger != nil && g.told.isNews(time.Now()) {
		g.Logger.Warn("a client asks for a host that has no certificate", "host", name)
	}
}

// Note counts a handshake that has ended.
func (g *Guard) Note(state tls.ConnectionState, err error) Outcome {
	outcome := outcomeOf(state, err)
	if g.Noted != nil {
		g.Noted(outcome)
	}
	return outcome
}

// MayTalk reports whether a request may follow.
func (o Outcome) MayTalk() bool { return o == OutcomeDone || o == OutcomeResumed }

func outcomeOf(state tls.ConnectionState, err error) Outcome {
	switch {
	case err == nil && state.NegotiatedProtocol == challengeProtocol:
		return OutcomeChallenge
	case err == nil && state.DidResume:
		return OutcomeResumed
	case err == nil:
		return OutcomeDone
	case strings.HasSuffix(err.Error(), "no certificates configured"):
		return OutcomeNoCertificate
	case errors.Is(err, os.ErrDeadlineExceeded):
		return OutcomeTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), isReset(err):
		return OutcomeGone
	}
	return OutcomeFailed
}

func isReset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op != "remote error" && op.Op != "local error"
}

// news bounds what is told.
type news struct {
	mu   sync.Mutex
	next time.Time
}

// newsPause is the time between two lines.
const newsPause = 10 * time.Second

func (n *news) isNews(now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Before(n.next) {
		return false
	}
	n.next = now.Add(newsPause)
	return true
}
