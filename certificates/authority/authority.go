// Package authority is the machine's own authority: it signs certificates for hosts that no public one signs, such as those below
// localhost. Its key never leaves the directory of the service; who wants to trust it takes its root certificate.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

const (
	// rootLife is how long a root is valid: whoever trusts it does so by hand.
	rootLife = 10 * 365 * 24 * time.Hour
	// leafLife is how long a certificate is valid. Browsers accept 398 days at most, also of one that was added by hand.
	leafLife = 30 * 24 * time.Hour
	// backdated is how far the clock of a client may be behind.
	backdated = time.Hour
)

// epoch is from when on every root is valid: a machine whose clock was ahead when it made one can use it afterwards.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Authority is an authority on this machine.
type Authority struct {
	key  crypto.Signer
	root *x509.Certificate
}

// Open takes the authority whose key and root are in a file, and makes one if there is none, or if it would end before what it signs. The
// root is written to another file for everybody to read.
func Open(file, public, machine string, now time.Time) (*Authority, error) {
	a, err := read(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !a.Lasts(now) {
		a, err = create(file, machine, now)
	}
	if err != nil {
		return nil, fmt.Errorf("the machine's own authority: %w", err)
	}
	if err := a.publish(public); err != nil {
		return nil, fmt.Errorf("the machine's own authority: %w", err)
	}
	return a, nil
}

// read reads a key and a root from one file.
func read(file string) (*Authority, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	key, is := pair.PrivateKey.(crypto.Signer)
	if !is || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("read %s: it is no authority", file)
	}
	return &Authority{key: key, root: pair.Leaf}, nil
}

// create makes a key and a root, and writes both into one file, so that they are never apart.
func create(file, machine string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		// The name tells the machine, and the time one root from the next: two of the same name confuse browsers.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("fnctl on %s, %s", machine, now.UTC().Format(time.DateOnly))},
		NotBefore:             epoch,
		NotAfter:              now.Add(rootLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
	}
	if template.SerialNumber, err = serial(); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	text, err := certificates.EncodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := platform.WriteFile(file, append(text, certificates.EncodeChain(der)...), 0o600); err != nil {
		return nil, err
	}
	return &Authority{key: key, root: root}, nil
}

// publish writes the root for everybody to read, unless it is there.
func (a *Authority) publish(file string) error {
	text := certificates.EncodeChain(a.root.Raw)
	if there, err := os.ReadFile(file); err == nil && string(there) == string(text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return platform.WriteFile(file, text, 0o644)
}

// Issue signs a certificate for a host, which may be *.NAME or an address. Both texts are PEM. The root is no part of the chain: who
// trusts it has it.
func (a *Authority) Issue(host string, now time.Time) (key, chain []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		NotBefore:   now.Add(-backdated),
		NotAfter:    now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		template.IPAddresses = []net.IP{addr.AsSlice()}
	} else {
		template.DNSNames = []string{host}
	}
	if template.SerialNumber, err = serial(); err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.root, signer.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign a certificate for %s: %w", host, err)
	}
	if key, err = certificates.EncodeKey(signer); err != nil {
		return nil, nil, err
	}
	return key, certificates.EncodeChain(der), nil
}

// Lasts reports whether the authority lives longer than what it signs now.
func (a *Authority) Lasts(now time.Time) bool { return !now.Add(leafLife).After(a.root.NotAfter) }

// Signed reports whether a certificate is of this authority, and not of one before it.
func (a *Authority) Signed(leaf *x509.Certificate) bool {
	return bytes.Equal(leaf.AuthorityKeyId, a.root.SubjectKeyId)
}

// serial is a number that nobody can guess (CA/Browser Forum, section 7.1: 64 random bits at least).
func serial() (*big.Int, error) { return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) }
