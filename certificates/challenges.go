package certificates

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
)

const (
	// ChallengePath is the path of an HTTP-01 challenge, without its token (RFC 8555, section 8.3).
	ChallengePath = "/.well-known/acme-challenge/"
	// maxToken is the longest token that is looked for. RFC 8555 asks for 128 bits at least, which are 22 characters.
	maxToken = 256
)

// Challenges is the directory of what authorities are to find.
type Challenges struct{ Dir string }

// ChallengesOf is the one of a machine.
func ChallengesOf(p platform.Paths) Challenges {
	return Challenges{Dir: filepath.Join(p.Root, "/run/fnctl-acme")}
}

// http is the file of a token. Whoever asks writes the token: it has to be one.
func (c Challenges) http(token string) (path string, is bool) {
	if token == "" || len(token) > maxToken {
		return "", false
	}
	for i := range len(token) {
		if b := token[i]; ('a' > b || b > 'z') && ('A' > b || b > 'Z') && ('0' > b || b > '9') && b != '-' && b != '_' {
			return "", false
		}
	}
	return filepath.Join(c.Dir, "http-01", token), true
}

// alpn is where the certificate of a host is that answers TLS-ALPN-01 (RFC 8737).
func (c Challenges) alpn() Store { return Store{Dir: filepath.Join(c.Dir, "tls-alpn-01")} }

// HTTP returns what is to be answered for a token, and whether anything is.
func (c Challenges) HTTP(token string) (authorization []byte, is bool) {
	path, is := c.http(token)
	if !is {
		return nil, false
	}
	authorization, err := os.ReadFile(path)
	return authorization, err == nil
}

// WriteHTTP has a token answered.
func (c Challenges) WriteHTTP(token, authorization string) error {
	path, is := c.http(token)
	if !is {
		return fmt.Errorf("the token %q of a challenge is none", platform.Clip(token))
	}
	return platform.WriteFile(path, []byte(authorization), fileMode)
}

// RemoveHTTP ends that.
func (c Challenges) RemoveHTTP(token string) error {
	path, is := c.http(token)
	if !is {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Clear ends whatever is answered: nobody is asked any more for what was begun by a service that was killed.
func (c Challenges) Clear() error {
	for _, dir := range []string{filepath.Join(c.Dir, "http-01"), c.alpn().Dir} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			if err := platform.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// ALPN returns the certificate by which a host answers.
func (c Challenges) ALPN(host string) (*Pair, error) { return c.alpn().Read(host) }

// WriteALPN has a host answer by a certificate.
func (c Challenges) WriteALPN(host string, key, cert []byte) error {
	return c.alpn().Write(host, OriginACME, key, cert)
}

// RemoveALPN ends that.
func (c Challenges) RemoveALPN(host string) error { return c.alpn().Remove(host) }
