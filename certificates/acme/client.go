package acme

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"github.com/fnctl/fnctl/platform"
)

// orderTimeout bounds an order, with the time that records of the DNS take.
const orderTimeout = 15 * time.Minute

// Client asks authorities for certificates.
type Client struct {
	dir       string // of the service, whose files only it reads
	email     string
	http      *http.Client
	solvers   map[string]solver // by the type of a challenge
	userAgent string
	log       *slog.Logger
	accounts  sync.Mutex // one at a time makes an account

	mu      sync.Mutex
	clients map[string]*acme.Client // by directory
}

// Request is what is asked for.
type Request struct {
	// Host may be *.NAME.
	Host string
	// Directory is the address of the authority.
	Directory string
	// Challenge is how it is to be shown whose the host is.
	Challenge string
	// Replaces is the certificate in whose place the new one comes, if the same authority has made it.
	Replaces *x509.Certificate
}

// Issued is a certificate as an authority made it.
type Issued struct {
	// Key and Chain are PEM.
	Key, Chain []byte
}

// of returns the client of one authority.
func (c *Client) of(directory string) *acme.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	client := c.clients[directory]
	if client == nil {
		client = &acme.Client{Directory: directory, HTTPClient: c.http, UserAgent: c.userAgent}
		c.clients[directory] = client
	}
	return client
}

// Obtain makes one order. An error that is about the authority and not about the host wraps ErrAuthority.
func (c *Client) Obtain(ctx context.Context, r Request) (Issued, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, orderTimeout, errors.New("the order took too long"))
	defer cancel()
	ctx, seen := withWitness(ctx)
	issued, err := c.obtain(ctx, r)
	var problem acme.Problem
	if errors.As(err, &problem) && problem.Type == acme.ProblemTypeAccountDoesNotExist {
		if err := c.forgetAccount(r.Directory); err != nil {
			return issued, err
		}
		issued, err = c.obtain(ctx, r)
	}
	if err != nil && context.Cause(ctx) != nil {
		return issued, context.Cause(ctx)
	}
	return issued, seen.judge(err)
}

func (c *Client) obtain(ctx context.Context, r Request) (Issued, error) {
	client := c.of(r.Directory)
	account, err := c.account(ctx, client)
	if err != nil {
		return Issued{}, fmt.Errorf("%w: %w", ErrAuthority, err)
	}
	o := &order{Client: client, account: account, solvers: c.solvers, request: r, log: c.log}
	o.pending, err = c.readPending(r)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Issued{}, err
	}
	if err == nil && o.resume(ctx) {
		return o.fetch(ctx)
	}
	if err := o.make(ctx); err != nil {
		return Issued{}, err
	}
	// From here on there will be a certificate: whoever is killed before it is written fetches it.
	if err := c.writePending(&o.pending); err != nil {
		return Issued{}, err
	}
	if err := o.finalize(ctx); err != nil {
		return Issued{}, err
	}
	return o.fetch(ctx)
}

// pendingFormat is the number of the form of the file of an order.
const pendingFormat = 1

// pending is an order that an authority is about to fulfil.
type pending struct {
	Format    int    `json:"format"`
	Host      string `json:"host"`
	Directory string `json:"directory"`
	Location  string `json:"location"`
	// Key is that of the certificate, in PEM.
	Key string `json:"key"`

	signer crypto.Signer
}

func (c *Client) pendingFile(host string) string {
	return filepath.Join(c.dir, "orders", strings.Replace(host, "*", "_wildcard", 1)+".json")
}

// readPending reads what was left of an order. The error wraps fs.ErrNotExist if nothing was, or if it was made elsewhere.
func (c *Client) readPending(r Request) (p pending, err error) {
	if err := readFormed(c.pendingFile(r.Host), pendingFormat, &p); err != nil {
		return p, err
	}
	if p.Host != r.Host || p.Directory != r.Directory {
		return pending{}, fs.ErrNotExist
	}
	p.signer, err = decodeKey(p.Key)
	return p, err
}

func (c *Client) writePending(p *pending) error {
	p.Format = pendingFormat
	return writeFormed(c.pendingFile(p.Host), p)
}

// Forget drops what is kept of an order, whose certificate is written or not wanted any more.
func (c *Client) Forget(host string) error { return platform.Remove(c.pendingFile(host)) }

// csr asks for a certificate of one host, signed by its key.
func csr(host string, key crypto.Signer) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{host}}, key)
}

// identifier is what an authority calls a host.
func identifier(host string) acme.Identifier { return acme.Identifier{Type: "dns", Value: host} }

// errNoChallenge is that of an authority that wants to be shown otherwise whose a host is.
func errNoChallenge(challenge string, offered []acme.Challenge) error {
	types := make([]string, len(offered))
	for i, c := range offered {
		types[i] = c.Type
	}
	return fmt.Errorf("the authority does not take %s, but %s", challenge, strings.Join(types, ", "))
}
