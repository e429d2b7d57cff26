package acme

import (
	"context"
	"crypto/ecdsa"
	"errors"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/fnctl/fnctl/certificates"
)

// solver shows an authority whose a host is.
type solver interface {
	// show has the authority find what it looks for, from when it returns on.
	show(context.Context, acme.Challenge) error
	// remove ends that. What was never shown is no error.
	remove(context.Context, acme.Challenge) error
}

// httpSolver has the gateway answer by HTTP (RFC 8555, section 8.3).
type httpSolver struct{ certificates.Challenges }

func (s httpSolver) show(_ context.Context, c acme.Challenge) error {
	return s.WriteHTTP(c.Token, c.KeyAuthorization)
}

func (s httpSolver) remove(_ context.Context, c acme.Challenge) error { return s.RemoveHTTP(c.Token) }

// alpnSolver has the gateway answer in the handshake of TLS (RFC 8737).
type alpnSolver struct{ certificates.Challenges }

func (s alpnSolver) show(_ context.Context, c acme.Challenge) error {
	cert, err := acmez.TLSALPN01ChallengeCert(c)
	if err != nil {
		return err
	}
	signer, is := cert.PrivateKey.(*ecdsa.PrivateKey)
	if !is {
		return errors.New("the key of the challenge is of another kind")
	}
	key, err := certificates.EncodeKey(signer)
	if err != nil {
		return err
	}
	return s.WriteALPN(c.Identifier.Value, key, certificates.EncodeChain(cert.Certificate...))
}

func (s alpnSolver) remove(_ context.Context, c acme.Challenge) error {
	return s.RemoveALPN(c.Identifier.Value)
}
