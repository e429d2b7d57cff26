package acme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// cleanupTimeout bounds what is done after an order, also after one that was interrupted.
const cleanupTimeout = time.Minute

// order is one at an authority, on its way (RFC 8555, section 7.1.6).
type order struct {
	*acme.Client
	account acme.Account
	solvers map[string]solver
	request Request
	pending pending
	log     *slog.Logger

	acme.Order
}

// make makes an order and shows whose the host is, so that a certificate can be asked for.
func (o *order) make(ctx context.Context) error {
	var err error
	if o.pending.signer, o.pending.Key, err = newKey(); err != nil {
		return err
	}
	wanted := acme.Order{Identifiers: []acme.Identifier{identifier(o.request.Host)}}
	if o.request.Replaces != nil {
		if wanted.Replaces, err = acme.ARIUniqueIdentifier(o.request.Replaces); err != nil {
			return err
		}
	}
	o.Order, err = o.NewOrder(ctx, o.account, wanted)
	if wanted.Replaces != "" && isRefused(err) {
		// The authority may know the old one no more, or it was replaced already: a new one is wanted all the same.
		wanted.Replaces = ""
		o.Order, err = o.NewOrder(ctx, o.account, wanted)
	}
	if err != nil {
		return fmt.Errorf("make an order: %w", err)
	}
	o.pending.Host, o.pending.Directory, o.pending.Location = o.request.Host, o.request.Directory, o.Location
	for _, authorization := range o.Authorizations {
		if err := o.authorize(ctx, authorization); err != nil {
			return err
		}
	}
	return nil
}

// isRefused reports whether an authority does not want what it is asked, rather than not now.
func isRefused(err error) bool {
	var problem acme.Problem
	return errors.As(err, &problem) && problem.Type != acme.ProblemTypeRateLimited && problem.Type != acme.ProblemTypeServerInternal &&
		problem.Type != acme.ProblemTypeAccountDoesNotExist
}

// authorize shows whose the host is.
func (o *order) authorize(ctx context.Context, location string) error {
	authorization, err := o.GetAuthorization(ctx, o.account, location)
	if err != nil {
		return fmt.Errorf("read what to show: %w", err)
	}
	if authorization.Status == acme.StatusValid {
		return nil
	}
	i := slices.IndexFunc(authorization.Challenges, func(c acme.Challenge) bool { return c.Type == o.request.Challenge })
	if i < 0 {
		return errNoChallenge(o.request.Challenge, authorization.Challenges)
	}
	challenge := authorization.Challenges[i]
	solver := o.solvers[o.request.Challenge]
	// Also what was shown in part is removed.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		if err := solver.remove(ctx, challenge); err != nil {
			o.log.Warn("remove what an authority was shown", "host", o.request.Host, "challenge", challenge.Type, "err", err)
		}
	}()
	if err := solver.show(ctx, challenge); err != nil {
		return fmt.Errorf("show whose the host is, by %s: %w", challenge.Type, err)
	}
	if _, err := o.InitiateChallenge(ctx, o.account, challenge); err != nil {
		return fmt.Errorf("have the authority look, by %s: %w", challenge.Type, err)
	}
	if _, err := o.PollAuthorization(ctx, o.account, authorization); err != nil {
		return fmt.Errorf("the authority does not see by %s whose the host is: %w", challenge.Type, err)
	}
	return nil
}

// finalize asks for the certificate.
func (o *order) finalize(ctx context.Context) error {
	request, err := csr(o.request.Host, o.pending.signer)
	if err != nil {
		return err
	}
	o.Order, err = o.FinalizeOrder(ctx, o.account, o.Order, request)
	if err != nil {
		return fmt.Errorf("ask for the certificate: %w", err)
	}
	return nil
}

// resume goes on with the order of a service that was killed, and reports whether there is a certificate to fetch.
func (o *order) resume(ctx context.Context) bool {
	var err error
	o.Order, err = o.GetOrder(ctx, o.account, acme.Order{Location: o.pending.Location})
	if err != nil {
		return false
	}
	switch o.Status {
	case acme.StatusValid:
		return true
	case acme.StatusReady, acme.StatusProcessing:
		return o.finalize(ctx) == nil
	}
	return false
}

// fetch takes the certificate.
func (o *order) fetch(ctx context.Context) (Issued, error) {
	chains, err := o.GetCertificateChain(ctx, o.account, o.Certificate)
	if err != nil {
		return Issued{}, fmt.Errorf("fetch the certificate: %w", err)
	}
	if len(chains) == 0 {
		return Issued{}, errors.New("fetch the certificate: there is none")
	}
	return Issued{Key: []byte(o.pending.Key), Chain: chains[0].ChainPEM}, nil
}
