package authority_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fnctl/fnctl/certificates/authority"
)

const day = 24 * time.Hour

// files are the key and the root of an authority.
type files struct{ key, root string }

func newFiles(t *testing.T) files {
	dir := t.TempDir()
	return files{filepath.Join(dir, "authority.pem"), filepath.Join(dir, "public", "root.crt")}
}

func (f files) open(t *testing.T, now time.Time) *authority.Authority {
	t.Helper()
	a, err := authority.Open(f.key, f.root, "box", now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// verify checks a certificate at a time as a client does that trusts the root.
func (f files) verify(t *testing.T, host string, key, chain []byte, at time.Time) error {
	t.Helper()
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(f.root)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: at})
	return err
}

func issue(t *testing.T, a *authority.Authority, host string, now time.Time) (key, chain []byte) {
	t.Helper()
	key, chain, err := a.Issue(host, now)
	if err != nil {
		t.Fatal(err)
	}
	return key, chain
}

func TestIssue(t *testing.T) {
	f, now := newFiles(t), time.Now()
	a := f.open(t, now)
	for host, visited := range map[string]string{
		"shop.localhost": "shop.localhost", "nas": "nas", "*.home.arpa": "any.home.arpa", "192.0.2.1": "192.0.2.1",
	} {
		key, chain := issue(t, a, host, now)
		for at, valid := range map[time.Duration]bool{0: true, -50 * time.Minute: true, 29 * day: true, -2 * time.Hour: false, 31 * day: false} {
			if err := f.verify(t, visited, key, chain, now.Add(at)); (err == nil) != valid {
				t.Errorf("%s, %v from now: %v", host, at, err)
			}
		}
		if err := f.verify(t, "other.localhost", key, chain, now); err == nil {
			t.Errorf("the certificate of %s is valid for another host", host)
		}
	}
}

// The root is the same after a restart, and nobody but the service reads its key.
func TestOpenAgain(t *testing.T) {
	f, now := newFiles(t), time.Now()
	first := f.open(t, now)
	key, chain := issue(t, first, "nas", now)
	before, err := os.ReadFile(f.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.root); err != nil { // it is written again
		t.Fatal(err)
	}
	second := f.open(t, now.Add(9*365*day))
	after, err := os.ReadFile(f.root)
	if err != nil || !bytes.Equal(before, after) {
		t.Fatalf("the root is another one: %v", err)
	}
	if err := f.verify(t, "nas", key, chain, now); err != nil {
		t.Error(err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil || !second.Signed(pair.Leaf) {
		t.Errorf("its own certificate is not known: %v", err)
	}
	for file, want := range map[string]os.FileMode{f.key: 0o600, f.root: 0o644} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", file, info.Mode(), err, want)
		}
	}
}

// Before the root ends a new one takes its place, so that none of its certificates outlives it.
func TestRootEnds(t *testing.T) {
	f, now := newFiles(t), time.Now()
	first := f.open(t, now)
	_, chain := issue(t, first, "nas", now)
	late := now.Add(10*365*day - 20*day)
	if first.Lasts(late) {
		t.Error("the root lasts longer than its certificates")
	}
	second := f.open(t, late)
	key, next := issue(t, second, "nas", late)
	if err := f.verify(t, "nas", key, next, late.Add(29*day)); err != nil {
		t.Error(err)
	}
	leaf, err := x509.ParseCertificate(mustDER(t, chain))
	if err != nil || second.Signed(leaf) {
		t.Errorf("the certificate of the root before is taken for its own: %v", err)
	}
}

// A root that was made while the clock was ahead is valid when it is right.
func TestClockAhead(t *testing.T) {
	f, now := newFiles(t), time.Now()
	f.open(t, now.Add(5*365*day))
	key, chain := issue(t, f.open(t, now), "nas", now)
	if err := f.verify(t, "nas", key, chain, now); err != nil {
		t.Error(err)
	}
}

// A file that is damaged is no reason to make a new authority: whoever trusts the old one would be left without.
func TestDamaged(t *testing.T) {
	f, now := newFiles(t), time.Now()
	f.open(t, now)
	if err := os.WriteFile(f.key, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Open(f.key, f.root, "box", now); err == nil || !bytes.Contains([]byte(err.Error()), []byte(f.key)) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(f.key); err != nil || string(text) != "nothing" {
		t.Errorf("it was replaced: %q, %v", text, err)
	}
}

func mustDER(t *testing.T, chain []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(chain)
	if block == nil {
		t.Fatal("there is no certificate")
	}
	return block.Bytes
}
