package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	// requestTimeout bounds one request to an authority.
	requestTimeout = 30 * time.Second
	// connectTimeout bounds the handshake of TLS.
	connectTimeout = 15 * time.Second
)

// newHTTPClient makes the one by which authorities are asked. Their servers are checked by the system's roots, and by those in a file if
// there is one.
func newHTTPClient(rootCA string) (*http.Client, error) {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: maxOrders,
		TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: requestTimeout, IdleConnTimeout: requestTimeout,
	}
	if rootCA != "" {
		text, err := os.ReadFile(rootCA)
		if err != nil {
			return nil, fmt.Errorf("acme.root_ca: %w", err)
		}
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("acme.root_ca: %s has no certificate in PEM", rootCA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: witnessed{transport}, Timeout: requestTimeout}, nil
}

// witness is how an authority has answered last.
type witness struct {
	mu         sync.Mutex
	err        error // it has not
	status     int
	retryAfter time.Duration // what it asked for with a failure
}

// witnessKey is the key of the witness in a context.
type witnessKey struct{}

// withWitness returns a context whose requests are noted.
func withWitness(ctx context.Context) (context.Context, *witness) {
	w := &witness{}
	return context.WithValue(ctx, witnessKey{}, w), w
}

// witnessed notes how each request ends: the errors of the client tell neither that the network failed nor how long to wait.
type witnessed struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t witnessed) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
	if w, is := r.Context().Value(witnessKey{}).(*witness); is {
		w.note(response, err)
	}
	return response, err
}

func (w *witness) note(response *http.Response, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.status, w.retryAfter = err, 0, 0
	if err != nil {
		return
	}
	w.status = response.StatusCode
	if w.status >= http.StatusBadRequest {
		w.retryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
}

// retryAfter reads what a server asks for (RFC 9110, section 10.2.3), 0 if it is nothing.
func retryAfter(field string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(field); err == nil {
		return time.Duration(min(max(seconds, 0), int(longestLimit/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(field); err == nil {
		return min(max(at.Sub(now), 0), longestLimit)
	}
	return 0
}

// ErrAuthority is wrapped by errors that say nothing about the host: the authority could not be asked.
var ErrAuthority = errors.New("the authority cannot be asked")

// limitedError is that of an authority that limits how much it is asked, or that fails itself, which may be because of the host.
type limitedError struct {
	error
	retryAfter time.Duration // 0 if it didn't say
}

func (e limitedError) Unwrap() error { return e.error }

// judge says of an error what the last answer tells of it.
func (w *witness) judge(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, ErrAuthority):
		return err
	case w.err != nil:
		return fmt.Errorf("%w: %w", ErrAuthority, err)
	case w.status == http.StatusTooManyRequests || w.status >= http.StatusInternalServerError:
		return limitedError{err, w.retryAfter}
	}
	return err
}
