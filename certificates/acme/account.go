package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mholt/acmez/v3/acme"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// accountFormat is the number of the form of the file of an account.
const accountFormat = 1

// account is this machine's at one authority.
type account struct {
	Format    int    `json:"format"`
	Directory string `json:"directory"`
	// Location is the address that the authority gave it; empty: it is not known there yet.
	Location string `json:"location,omitempty"`
	Email    string `json:"email,omitempty"`
	// Key is in PEM.
	Key string `json:"key"`

	signer crypto.Signer
}

// accountFile is the file of the account at an authority.
func (c *Client) accountFile(directory string) string {
	sum := sha256.Sum256([]byte(directory))
	return filepath.Join(c.dir, "accounts", hex.EncodeToString(sum[:8])+".json")
}

// readAccount reads the account at an authority. The error wraps fs.ErrNotExist if there is none.
func (c *Client) readAccount(directory string) (*account, error) {
	file := c.accountFile(directory)
	a := &account{}
	if err := readFormed(file, accountFormat, a); err != nil {
		return nil, err
	}
	var err error
	if a.signer, err = decodeKey(a.Key); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return a, nil
}

// writeAccount replaces the file of an account.
func (c *Client) writeAccount(a *account) error {
	a.Format = accountFormat
	return writeFormed(c.accountFile(a.Directory), a)
}

// account returns the one at an authority, and makes one if there is none. Its key is on the disk before the authority hears of it: one
// that was killed before it wrote where its account is finds the same one again.
func (c *Client) account(ctx context.Context, client *acme.Client) (acme.Account, error) {
	c.accounts.Lock()
	defer c.accounts.Unlock()
	a, err := c.readAccount(client.Directory)
	if errors.Is(err, fs.ErrNotExist) {
		a = &account{Directory: client.Directory}
		if a.signer, a.Key, err = newKey(); err == nil {
			err = c.writeAccount(a)
		}
	}
	if err != nil {
		return acme.Account{}, fmt.Errorf("the account: %w", err)
	}
	known := acme.Account{Status: acme.StatusValid, Location: a.Location, PrivateKey: a.signer}
	if c.email != "" {
		known.Contact = []string{"mailto:" + c.email}
	}
	switch {
	case a.Location == "":
		known.TermsOfServiceAgreed = true
		if known, err = client.NewAccount(ctx, known); err != nil {
			return known, fmt.Errorf("make an account: %w", err)
		}
		known.PrivateKey = a.signer
	case a.Email != c.email && c.email != "":
		if _, err := client.UpdateAccount(ctx, known); err != nil {
			return known, fmt.Errorf("change the account: %w", err)
		}
	default:
		return known, nil
	}
	a.Location, a.Email = known.Location, c.email
	return known, c.writeAccount(a)
}

// forgetAccount takes note that an authority knows an account no more. Its key stays.
func (c *Client) forgetAccount(directory string) error {
	c.accounts.Lock()
	defer c.accounts.Unlock()
	a, err := c.readAccount(directory)
	if err != nil {
		return err
	}
	a.Location = ""
	return c.writeAccount(a)
}

// newKey makes a key, and its text in PEM.
func newKey() (crypto.Signer, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	text, err := certificates.EncodeKey(key)
	return key, string(text), err
}

// decodeKey reads a key that newKey made.
func decodeKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("there is no key in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, is := key.(crypto.Signer)
	if !is {
		return nil, errors.New("its key does not sign")
	}
	return signer, nil
}

// readFormed does what platform.ReadFormed does, and says what to do about a later form.
func readFormed(file string, known int, v any) error {
	err := platform.ReadFormed(file, known, v)
	if errors.Is(err, platform.ErrNewer) {
		return platform.WithHint(err, "install the later version of fnctl again")
	}
	return err
}

// writeFormed replaces a file of JSON that only the service reads.
func writeFormed(file string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return platform.WriteFile(file, append(data, '\n'), 0o600)
}
