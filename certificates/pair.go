package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// formatLine is what a file begins with. What stands before the first block of PEM is no part of it (RFC 7468, section 2), so that other
// programs read such a file, too.
const formatLine = "fnctl certificate, format 1\n"

// formatPrefix is what the line of every format begins with.
const formatPrefix = "fnctl certificate, format "

// Pair is a certificate with what it was signed by and its key.
type Pair struct {
	TLS tls.Certificate
	// Origin is where it is from.
	Origin Origin
}

// Leaf is the certificate itself.
func (p *Pair) Leaf() *x509.Certificate { return p.TLS.Leaf }

// Expired reports whether it is not valid any more.
func (p *Pair) Expired(now time.Time) bool { return now.After(p.TLS.Leaf.NotAfter) }

// Origin is where a certificate is from.
type Origin string

const (
	// OriginACME is an authority that was asked by ACME.
	OriginACME Origin = "acme"
	// OriginInternal is the machine's own authority.
	OriginInternal Origin = "internal"
	// OriginFile is a file of the operator's.
	OriginFile Origin = "file"
)

// originHeader is the line of a file that says the origin.
const originHeader = "origin: "

// encode makes a file of a key and a chain, both in PEM.
func encode(origin Origin, key, chain []byte) ([]byte, error) {
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		return nil, err
	}
	head := formatLine + originHeader + string(origin) + "\n"
	return slices.Concat([]byte(head), bytes.TrimSpace(key), []byte("\n"), bytes.TrimSpace(chain), []byte("\n")), nil
}

// decode reads such a file.
func decode(data []byte) (*Pair, error) {
	head, _, _ := bytes.Cut(data, []byte("-----BEGIN"))
	if !bytes.HasPrefix(head, []byte(formatLine)) {
		if bytes.HasPrefix(head, []byte(formatPrefix)) {
			return nil, platform.ErrNewer
		}
		return nil, errors.New("it does not begin as a certificate of fnctl does")
	}
	p := &Pair{Origin: OriginACME}
	for line := range bytes.Lines(head) {
		if origin, is := bytes.CutPrefix(line, []byte(originHeader)); is {
			p.Origin = Origin(bytes.TrimSpace(origin))
		}
	}
	var err error
	p.TLS, err = tls.X509KeyPair(data, data)
	return p, err
}

// ReadFiles reads a certificate with its chain, and its key, from two files of PEM, which may be one.
func ReadFiles(cert, key []byte) (*Pair, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	return &Pair{TLS: pair, Origin: OriginFile}, nil
}

// EncodeChain makes PEM of certificates in DER.
func EncodeChain(chain ...[]byte) []byte {
	var out bytes.Buffer
	for _, der := range chain {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes everything
	}
	return out.Bytes()
}

// EncodeKey makes PEM of a private key.
func EncodeKey(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
