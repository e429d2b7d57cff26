package certificates_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// selfSigned makes a key and a certificate for hosts, both in PEM.
func selfSigned(t testing.TB, number int64, hosts ...string) (key, chain []byte) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), DNSNames: hosts, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = certificates.EncodeKey(signer); err != nil {
		t.Fatal(err)
	}
	return key, certificates.EncodeChain(der)
}

func write(t testing.TB, s certificates.Store, host string, number int64) {
	t.Helper()
	key, chain := selfSigned(t, number, host)
	if err := s.Write(host, certificates.OriginACME, key, chain); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) {
	s := certificates.Store{Dir: t.TempDir()}
	for number, host := range []string{"shop.example.com", "*.example.com", "nas"} {
		write(t, s, host, int64(number+1))
		pair, err := s.Read(host)
		if err != nil || pair.Leaf().SerialNumber.Int64() != int64(number+1) || pair.Origin != certificates.OriginACME {
			t.Errorf("%s: got %+v, %v", host, pair, err)
		}
	}
	hosts, err := s.Hosts()
	slices.Sort(hosts)
	if want := []string{"*.example.com", "nas", "shop.example.com"}; err != nil || !slices.Equal(hosts, want) {
		t.Errorf("got %v, %v", hosts, err)
	}
	// Other programs read it: what stands before the PEM is no part of it.
	text, err := os.ReadFile(filepath.Join(s.Dir, "nas.pem"))
	if err != nil || !bytes.HasPrefix(text, []byte("fnctl certificate, format 1\norigin: acme\n-----BEGIN PRIVATE KEY-----\n")) {
		t.Errorf("got %q, %v", text, err)
	}
	if pair, err := certificates.ReadFiles(text, text); err != nil || pair.Origin != certificates.OriginFile || pair.Leaf().DNSNames[0] != "nas" {
		t.Errorf("got %+v, %v", pair, err)
	}
	if info, err := os.Stat(filepath.Join(s.Dir, "nas.pem")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if err := errors.Join(s.Remove("nas"), s.Remove("nas")); err != nil {
		t.Error(err)
	}
	if _, err := s.Read("nas"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if hosts, err := (certificates.Store{Dir: filepath.Join(s.Dir, "none")}).Hosts(); err != nil || len(hosts) != 0 {
		t.Errorf("without a directory: got %v, %v", hosts, err)
	}
}

// What does not fit is refused, and the old one stays.
func TestStoreRefuses(t *testing.T) {
	s := certificates.Store{Dir: t.TempDir()}
	write(t, s, "shop.example.com", 1)
	key, chain := selfSigned(t, 2, "shop.example.com")
	otherKey, otherChain := selfSigned(t, 3, "other.example.com")
	for name, err := range map[string]error{
		"another key":          s.Write("shop.example.com", certificates.OriginACME, otherKey, chain),
		"another host":         s.Write("shop.example.com", certificates.OriginACME, otherKey, otherChain),
		"no wildcard":          s.Write("*.example.com", certificates.OriginACME, key, chain),
		"no certificate":       s.Write("shop.example.com", certificates.OriginACME, key, nil),
		"no key":               s.Write("shop.example.com", certificates.OriginACME, nil, chain),
		"a path":               s.Write("../shop.example.com", certificates.OriginACME, key, chain),
		"a host without name":  s.Write("", certificates.OriginACME, key, chain),
		"the name of the file": s.Write("_wildcard.example.com", certificates.OriginACME, key, chain),
		"a long host":          s.Write(strings.Repeat("a.", 120)+"com", certificates.OriginACME, key, chain),
	} {
		if err == nil {
			t.Errorf("%s is written", name)
		}
	}
	if pair, err := s.Read("shop.example.com"); err != nil || pair.Leaf().SerialNumber.Int64() != 1 {
		t.Errorf("got %+v, %v", pair, err)
	}
	file := filepath.Join(s.Dir, "newer.example.com.pem")
	if err := os.WriteFile(file, []byte("fnctl certificate, format 10\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read("newer.example.com"); !errors.Is(err, platform.ErrNewer) || !strings.Contains(err.Error(), file) {
		t.Errorf("a later format: %v", err)
	}
	if err := os.WriteFile(file, append(key, chain...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read("newer.example.com"); err == nil || errors.Is(err, platform.ErrNewer) {
		t.Errorf("no format: %v", err)
	}
	entries, err := os.ReadDir(s.Dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("files are left: %v, %v", entries, err)
	}
}

func TestExpired(t *testing.T) {
	s := certificates.Store{Dir: t.TempDir()}
	write(t, s, "nas", 1)
	pair, err := s.Read("nas")
	if err != nil || pair.Expired(time.Now()) || pair.Expired(pair.Leaf().NotAfter) || !pair.Expired(pair.Leaf().NotAfter.Add(time.Second)) {
		t.Errorf("got %+v, %v", pair, err)
	}
}

// find is the number of the certificate that a host gets, 0 if none.
func find(c *certificates.Cache, host string) int64 {
	if pair := c.Find(host); pair != nil {
		return pair.Leaf().SerialNumber.Int64()
	}
	return 0
}

func newCache(t *testing.T) (certificates.Store, *certificates.Cache) {
	s := certificates.Store{Dir: t.TempDir()}
	return s, certificates.NewCache(s, slog.New(slog.DiscardHandler))
}

func TestCacheFind(t *testing.T) {
	s, c := newCache(t)
	for number, host := range map[int64]string{1: "shop.example.com", 2: "*.example.com", 3: "*.shop.example.com"} {
		write(t, s, host, number)
	}
	if got := find(c, "shop.example.com"); got != 0 {
		t.Errorf("before it was read: got %d", got)
	}
	c.Resync()
	for host, want := range map[string]int64{
		"shop.example.com": 1, "other.example.com": 2, "a.shop.example.com": 3, "a.b.example.com": 0, "example.com": 0, "com": 0, "": 0, ".": 0,
		".example.com": 2, "*.example.com": 2,
	} {
		if got := find(c, host); got != want {
			t.Errorf("%q: got %d, want %d", host, got, want)
		}
	}
}

// A certificate that is damaged serves on as it was; one that is removed does not.
func TestCacheKeepsTheLastGood(t *testing.T) {
	s, c := newCache(t)
	write(t, s, "shop.example.com", 1)
	write(t, s, "www.example.com", 2)
	c.Resync()
	damage := func(host, text string) {
		if err := os.WriteFile(filepath.Join(s.Dir, host+".pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	damage("shop.example.com", "nothing")
	if err := s.Remove("www.example.com"); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func(){func() { c.Reload("shop.example.com", "www.example.com") }, c.Resync} {
		read()
		if find(c, "shop.example.com") != 1 || find(c, "www.example.com") != 0 {
			t.Errorf("got %d and %d", find(c, "shop.example.com"), find(c, "www.example.com"))
		}
	}
	write(t, s, "shop.example.com", 3)
	c.Reload("shop.example.com")
	if got := find(c, "shop.example.com"); got != 3 {
		t.Errorf("got %d", got)
	}
}

// It keeps up with its directory, also with one that comes later.
func TestCacheFollows(t *testing.T) {
	s := certificates.Store{Dir: filepath.Join(t.TempDir(), "later")}
	c := certificates.NewCache(s, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- platform.Follow(t.Context(), c, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if err := os.Mkdir(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	number := int64(0)
	for range 3 {
		number++
		write(t, s, "shop.example.com", number)
		eventually(t, func() bool { return find(c, "shop.example.com") == number })
	}
	if err := s.Remove("shop.example.com"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return find(c, "shop.example.com") == 0 })
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came to be")
		}
	}
}

func TestChallenges(t *testing.T) {
	c := certificates.ChallengesOf(platform.Paths{Root: t.TempDir()})
	for _, dir := range []string{"http-01", "tls-alpn-01"} {
		if err := os.MkdirAll(filepath.Join(c.Dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.WriteHTTP("token-_1", "authorization"); err != nil {
		t.Fatal(err)
	}
	if got, is := c.HTTP("token-_1"); !is || string(got) != "authorization" {
		t.Errorf("got %q, %v", got, is)
	}
	secret := filepath.Join(c.Dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", ".", "..", "../secret", "..%2fsecret", "token-_1/", "/etc/passwd", "token\x00", strings.Repeat("a", 257), "tökén"} {
		if got, is := c.HTTP(token); is {
			t.Errorf("%q: got %q", token, got)
		}
		if err := c.WriteHTTP(token, "x"); err == nil {
			t.Errorf("%q is written", token)
		}
	}
	key, chain := selfSigned(t, 1, "shop.example.com")
	if err := c.WriteALPN("shop.example.com", key, chain); err != nil {
		t.Fatal(err)
	}
	if pair, err := c.ALPN("shop.example.com"); err != nil || pair.Leaf().SerialNumber.Int64() != 1 {
		t.Errorf("got %+v, %v", pair, err)
	}
	if err := errors.Join(c.Clear(), c.RemoveHTTP("token-_1"), c.RemoveALPN("shop.example.com")); err != nil {
		t.Error(err)
	}
	if _, is := c.HTTP("token-_1"); is {
		t.Error("the token is still answered")
	}
	if _, err := c.ALPN("shop.example.com"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if !platform.Exists(secret) {
		t.Error("something else is gone, too")
	}
}

func TestWanted(t *testing.T) {
	settings := platform.Settings{Endpoint: "https://{name}.fn.example.com"}
	id := platform.RevisionID{Function: "shop", Number: 1}
	routes := []platform.Route{
		{Function: "shop", Hosts: []string{"www.example.com/api", "www.example.com", "*.example.org/x", "*"}, Tags: map[string]platform.RevisionID{"new": id, "old": id}},
		{Function: "hidden", Private: true, Hosts: []string{"hidden.example.com"}},
		{Function: "other", Hosts: []string{"new.shop.fn.example.com", "not a host"}},
	}
	want := []string{"*.example.org", "new.shop.fn.example.com", "other.fn.example.com", "shop.fn.example.com", "www.example.com", "old.shop.fn.example.com"}
	if got := certificates.Wanted(settings, routes); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	settings.Endpoint = "http://{name}.fn.example.com"
	want = []string{"*.example.org", "new.shop.fn.example.com", "www.example.com"}
	if got := certificates.Wanted(settings, routes); !slices.Equal(got, want) {
		t.Errorf("by http: got %v, want %v", got, want)
	}
}

func TestIsLocal(t *testing.T) {
	for host, want := range map[string]bool{
		"shop.localhost": true, "localhost": true, "nas": true, "nas.lan": true, "a.home.arpa": true, "*.home.arpa": true, "home.arpa": true, "*.localhost": true,
		"192.0.2.1": true, "printer.local": true, "db.internal": true,
		"example.com": false, "shop.example.com": false, "*.example.com": false, "local.example.com": false, "mylocalhost.com": false, "arpa.com": false,
		"notlocal.dev": false,
	} {
		if got := certificates.IsLocal(host); got != want {
			t.Errorf("%s: got %v", host, got)
		}
	}
}

func TestStatus(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	if _, err := certificates.ReadStatus(paths); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	file := filepath.Join(paths.Root, "run/fnctl-acme/status.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	until := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	want := certificates.HostStatus{
		Host: "shop.example.com", State: certificates.StateIssued, Origin: certificates.OriginACME, NotAfter: until, Error: "why", NextTry: until, Failures: 2,
	}
	if err := certificates.WriteStatus(paths, certificates.Status{Hosts: []certificates.HostStatus{want}}); err != nil {
		t.Fatal(err)
	}
	s, err := certificates.ReadStatus(paths)
	if got, has := s.Of("shop.example.com"); err != nil || !has || got != want {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, has := s.Of("other.example.com"); has {
		t.Error("another host has a status")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	for text, newer := range map[string]bool{`{"format": 2, "hosts": "other"}`: true, `{`: false, `{"format": 1, "hosts": "other"}`: false} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := certificates.ReadStatus(paths); err == nil || errors.Is(err, platform.ErrNewer) != newer || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
