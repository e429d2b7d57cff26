package certificates_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/certificates"
)

// What is read as a certificate has one, with its key.
func FuzzDecode(f *testing.F) {
	s := certificates.Store{Dir: f.TempDir()}
	write(f, s, "nas", 1)
	text, err := os.ReadFile(filepath.Join(s.Dir, "nas.pem"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("fnctl certificate, format 2\n"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pair, err := certificates.Decode(data)
		if err == nil && (pair.Leaf() == nil || pair.TLS.PrivateKey == nil || pair.Origin == "" && !strings.Contains(string(data), "origin:")) {
			t.Errorf("got %+v", pair)
		}
	})
}

// A token, whoever sends it, names a file in its directory or none.
func FuzzToken(f *testing.F) {
	for _, token := range []string{"abc-_123", "..", "../x", "a/b", "a.b", ""} {
		f.Add(token)
	}
	c := certificates.Challenges{Dir: "/run/fnctl-acme"}
	f.Fuzz(func(t *testing.T, token string) {
		if path, is := c.TokenPath(token); is && (filepath.Dir(path) != "/run/fnctl-acme/http-01" || filepath.Base(path) != token || token[0] == '.') {
			t.Errorf("%q: %q", token, path)
		}
	})
}

// A host names a file in its directory or none, and that file names the host again.
func FuzzHost(f *testing.F) {
	for _, host := range []string{"shop.example.com", "*.example.com", "_wildcard.example.com", "..", "*.*.com", "*", "a/b", "", "A.com",
		"*.example.com.pem", "_wildcard.example.com.pem", "_wildcard.*.com.pem", "a.com.pem.pem", ".pem"} {
		f.Add(host)
	}
	s := certificates.Store{Dir: "/var/lib/fnctl/certificates"}
	f.Fuzz(func(t *testing.T, host string) {
		path, err := s.Path(host)
		if err == nil {
			if got, is := certificates.HostOf(filepath.Base(path)); filepath.Dir(path) != s.Dir || !is || got != host || len(filepath.Base(path)) > 240 {
				t.Errorf("%q: %q, which is that of %q", host, path, got)
			}
		}
		// As the name of a file.
		if of, is := certificates.HostOf(host); is {
			if path, err := s.Path(of); err != nil || filepath.Base(path) != host {
				t.Errorf("the file %q is that of %q, whose is %q, %v", host, of, path, err)
			}
		}
	})
}
