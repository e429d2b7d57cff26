package acme

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/certificates"
)

// selfSigned makes a certificate that nobody has to trust.
func selfSigned(t testing.TB, host string, life time.Duration) (key, chain []byte) {
	t.Helper()
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	number, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: number, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if key, err = certificates.EncodeKey(signer); err != nil {
		t.Fatal(err)
	}
	return key, certificates.EncodeChain(der)
}

// verifyOwn checks a certificate as who trusts the machine's own authority does.
func verifyOwn(t *testing.T, pair *certificates.Pair, host string, root []byte, now time.Time) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(root) {
		t.Fatalf("there is no root in %q", root)
	}
	name := strings.Replace(host, "*", "any", 1)
	if _, err := pair.Leaf().Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now}); err != nil {
		t.Errorf("%s: %v", host, err)
	}
}

// hook makes the program of acme.dns.hook: this test, which tells the authority's DNS.
func (w *world) hook() string {
	w.Helper()
	dns := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name := r.FormValue("record") + "."
		switch r.FormValue("what") {
		case "present":
			w.pebble.dns.AddDNSTXTRecord(name, r.FormValue("value"))
		case "cleanup":
			w.pebble.dns.DeleteDNSTXTRecord(name)
		}
	}))
	w.Cleanup(dns.Close)
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	program := filepath.Join(w.TempDir(), "hook")
	text := fmt.Sprintf("#!/bin/sh\nFNCTL_TEST_HOOK=%s exec %s \"$@\"\n", dns.URL, self)
	if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
		w.Fatal(err)
	}
	return program
}

// callHook is the hook.
func callHook(server string, args []string) int {
	if len(args) != 4 {
		fmt.Println("want 4 arguments, got", args)
		return 2
	}
	query := url.Values{"what": {args[0]}, "domain": {args[1]}, "record": {args[2]}, "value": {args[3]}}
	response, err := http.Get(server + "?" + query.Encode())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	response.Body.Close()
	return 0
}
