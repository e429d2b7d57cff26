package acme

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// errNoRenewalInfo is that of an authority that doesn't say when to renew.
var errNoRenewalInfo = errors.New("the authority does not say when to renew")

// RenewalInfo returns when an authority wants one of its certificates to be renewed (RFC 9773, section 4.1). What acmez has for it asks
// three times, and takes no window of a second, which is how some authorities say that a certificate is revoked.
func (c *Client) RenewalInfo(ctx context.Context, directory string, leaf *x509.Certificate) (window, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*requestTimeout)
	defer cancel()
	known, err := c.of(directory).GetDirectory(ctx)
	if err != nil {
		return window{}, err
	}
	if known.RenewalInfo == "" {
		return window{}, errNoRenewalInfo
	}
	id, err := acme.ARIUniqueIdentifier(leaf)
	if err != nil {
		return window{}, err
	}
	return c.askRenewal(ctx, known.RenewalInfo+"/"+id)
}

func (c *Client) askRenewal(ctx context.Context, address string) (window, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return window{}, err
	}
	request.Header.Set("User-Agent", c.userAgent)
	response, err := c.http.Do(request)
	if err != nil {
		return window{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return window{}, fmt.Errorf("%s says %s", address, response.Status)
	}
	var said struct {
		Suggested window `json:"suggestedWindow"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&said); err != nil {
		return window{}, fmt.Errorf("read what %s says: %w", address, err)
	}
	if !said.Suggested.End.After(said.Suggested.Start) {
		return window{}, fmt.Errorf("%s says that the time to renew ends before it begins", address)
	}
	if wait := retryAfter(response.Header.Get("Retry-After"), time.Now()); wait > 0 {
		said.Suggested.RetryAfter = wait
	}
	return said.Suggested, nil
}
