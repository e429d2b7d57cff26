//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fnctl/fnctl/e2e/machine"
)

const (
	publicDomain = "fn.example.com"
	publicHost   = "echo." + publicDomain
	ownHost      = "shop.example.com"

	// pebbleSettings have the machine ask its own authority.
	pebbleSettings = "# mine\nacme:\n  directory: https://localhost:14000/dir\n  root_ca: /etc/pebble/web.pem\n"
	// pebbleConfig has the authority look at the ports that the world sees.
	pebbleConfig = `{"pebble": {
	"listenAddress": "127.0.0.1:14000", "managementListenAddress": "127.0.0.1:15000",
	"certificate": "/etc/pebble/web.pem", "privateKey": "/etc/pebble/web.key",
	"httpPort": 80, "tlsPort": 443, "ocspResponderURL": "", "externalAccountBindingRequired": false
}}`
	pebbleUnit = `[Service]
Environment=PEBBLE_VA_NOSLEEP=1 PEBBLE_WFE_NONCEREJECT=20 PEBBLE_AUTHZREUSE=0
ExecStart=/usr/bin/pebble -config /etc/pebble/config.json
`
)

// startPebble runs a certificate authority on the machine, which finds hosts where /etc/hosts says.
func (m *testMachine) startPebble(t *testing.T, hosts ...string) {
	t.Helper()
	m.MustRun(t, "mkdir", "-p", "/etc/pebble")
	m.MustRun(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost", "-keyout", "/etc/pebble/web.key", "-out", "/etc/pebble/web.pem")
	m.WriteFile(t, "/etc/pebble/config.json", pebbleConfig)
	m.WriteFile(t, "/run/systemd/system/pebble.service", pebbleUnit)
	m.MustRun(t, "sh", "-c", "printf '127.0.0.1 "+strings.Join(hosts, " ")+"\\n' >>/etc/hosts")
	m.MustRun(t, "systemctl", "daemon-reload")
	m.MustRun(t, "systemctl", "start", "pebble")
	m.WriteFile(t, "/etc/fnctl/fnctl.yml", pebbleSettings)
}

// authorities are the roots of what the machine's pebble signs.
func (m *testMachine) authorities(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(m.MustRun(t, "curl", "-sf", "--cacert", "/etc/pebble/web.pem", "https://localhost:15000/roots/0"))) {
		t.Fatal("pebble has no root")
	}
	return pool
}

// world is a visitor from elsewhere, who goes where the DNS would lead to and repeats nothing.
func (m *testMachine) world(pool *x509.CertPool, http2 bool) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	return &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: pool},
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				_, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				return m.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
			},
		},
	}
}

// A machine is made public with one command; the rest comes by itself.
func TestHTTPS(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := bootInstalled(t, suite)
			m.startPebble(t, publicHost, ownHost, "canary."+publicHost)
			m.deploy(t, "echo", "", "main:app")
			testPublicRefused(t, m)
			m.MustRun(t, "fnctl", "public", "--domain", publicDomain, "--email", "ops@example.com", "--yes")
			eventually(t, time.Minute, "the function has a certificate", func() bool {
				return m.hasCertificate(t, publicHost)
			})
			pool := m.authorities(t)
			t.Run("visitors", func(t *testing.T) { testVisitors(t, m, pool) })
			t.Run("domain", func(t *testing.T) { testDomain(t, m, pool) })
			t.Run("local name", func(t *testing.T) { testLocalName(t, m) })
			t.Run("openssl", func(t *testing.T) { testOpenSSL(t, m) })
			t.Run("handover", func(t *testing.T) { testSecureHandover(t, m, pool) })
			t.Run("no authority", func(t *testing.T) { testNoAuthority(t, m, pool) })
			t.Run("doctor", func(t *testing.T) {
				if text := m.MustRun(t, "sh", "-c", "fnctl doctor || true"); !strings.Contains(text, "✓ https: 3 hosts, each with a certificate") {
					t.Error(text)
				}
			})
			t.Run("off", func(t *testing.T) { testPublicOff(t, m) })
		})
	}
}

func (m *testMachine) hasCertificate(t *testing.T, host string) bool {
	t.Helper()
	for _, d := range m.domains(t) {
		if d.Host == host {
			return d.Certificate != nil
		}
	}
	return false
}

type domain struct {
	Host, From  string
	DNS         *struct{ Here bool }
	Certificate *struct {
		Until  time.Time
		Origin string
	}
}

func (m *testMachine) domains(t *testing.T) (list []domain) {
	t.Helper()
	if err := json.Unmarshal([]byte(m.MustRun(t, "fnctl", "domain", "echo", "list", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// testPublicRefused has a port taken: all stays as it was.
func testPublicRefused(t *testing.T, m *testMachine) {
	t.Helper()
	m.MustRun(t, "systemctl", "start", "nginx")
	refused := m.MustFail(t, 1, "fnctl", "public", "--domain", publicDomain, "--yes")
	if !strings.Contains(refused.Stdout, "port 80 is held by nginx") {
		t.Errorf("%s%s", refused.Stdout, refused.Stderr)
	}
	m.MustRun(t, "systemctl", "stop", "nginx")
	if got := m.MustRun(t, "cat", "/etc/fnctl/fnctl.yml"); got != pebbleSettings {
		t.Errorf("the settings are %q", got)
	}
	if got := m.property(t, "fnctl-gateway-https.socket", "ActiveState"); got != "inactive" {
		t.Errorf("the socket is %s", got)
	}
}

func testVisitors(t *testing.T, m *testMachine, pool *x509.CertPool) {
	for _, http2 := range []bool{false, true} {
		client := m.world(pool, http2)
		res, err := client.Get("https://" + publicHost + "/headers")
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 200 || (res.ProtoMajor == 2) != http2 || !strings.Contains(string(text), "https") {
			t.Errorf("%s %s: %s", res.Proto, res.Status, text)
		}
		res, err = client.Get("http://" + publicHost + "/a%2Fb?c")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusPermanentRedirect || got != "https://"+publicHost+"/a%2Fb?c" {
			t.Errorf("%s %s", res.Status, got)
		}
	}
}

func testDomain(t *testing.T, m *testMachine, pool *x509.CertPool) {
	m.MustRun(t, "fnctl", "domain", "echo", "add", strings.ToUpper(ownHost), "--wait", "--timeout", "1m")
	res, err := m.world(pool, true).Get("https://" + ownHost + "/headers")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	m.deploy(t, "ping", "", "main:app")
	taken := m.MustFail(t, 1, "fnctl", "domain", "ping", "add", ownHost)
	if !strings.Contains(taken.Stderr, "host "+ownHost+" belongs to the function echo") {
		t.Error(taken.Stderr)
	}
	m.MustRun(t, "fnctl", "remove", "ping")
	m.deploy(t, "echo", "labels: {a: b}\n", "main:app") // it outlives a deploy
	if !m.hasCertificate(t, ownHost) {
		t.Error("a deploy has taken the host away")
	}
}

// testLocalName has a name that no public authority signs signed by the machine, which says how to trust it.
func testLocalName(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "domain", "echo", "add", "nas.lan", "--wait", "--timeout", "1m")
	var trust struct{ File string }
	text := m.MustRun(t, "fnctl", "trust", "-o", "json")
	if err := json.Unmarshal([]byte(text), &trust); err != nil || trust.File == "" {
		t.Fatalf("%v: %s", err, text)
	}
	as := func(user string, args ...string) []string {
		return append([]string{"--reuid=" + user, "--regid=nogroup", "--clear-groups"}, args...)
	}
	m.MustRun(t, "setpriv", as("nobody", "curl", "-sf", "--cacert", trust.File, "--resolve", "nas.lan:443:127.0.0.1", "https://nas.lan/headers")...)
	for _, secret := range []string{"/var/lib/fnctl/certificates/nas.lan.pem", "/var/lib/fnctl-acme/authority.pem"} {
		m.MustFail(t, 1, "setpriv", as("nobody", "cat", secret)...)
		if mode := strings.TrimSpace(m.MustRun(t, "stat", "-c", "%a", secret)); mode != "640" && mode != "600" {
			t.Errorf("%s has mode %s", secret, mode)
		}
	}
}

// testOpenSSL does what libraries refuse to: old versions, weak ciphers, new keys within a connection.
func testOpenSSL(t *testing.T, m *testMachine) {
	client := func(stdin string, args ...string) string {
		t.Helper()
		script := fmt.Sprintf("{ %s sleep 2; } | timeout 20 openssl s_client -connect 127.0.0.1:443 -servername %s %s 2>&1 || true",
			stdin, publicHost, strings.Join(args, " "))
		return m.MustRun(t, "sh", "-c", script)
	}
	request := "printf 'GET /headers HTTP/1.1\\r\\nHost: " + publicHost + "\\r\\n\\r\\n';"
	last := strings.Replace(request, "\\r\\n\\r\\n", "\\r\\nConnection: close\\r\\n\\r\\n", 1)
	if got := client(last, "-ign_eof", "-tls1_2"); !strings.Contains(got, "200 OK") {
		t.Errorf("TLS 1.2: %s", got)
	}
	if got := client(request+" sleep 1; echo K; sleep 1;"+request, "-tls1_3"); strings.Count(got, "200 OK") != 2 {
		t.Errorf("new keys: %s", got)
	}
	for _, weak := range [][]string{{"-tls1_1", "-cipher", "'DEFAULT:@SECLEVEL=0'"}, {"-tls1_2", "-cipher", "'AES128-GCM-SHA256:@SECLEVEL=0'"}, {"-tls1_2", "-cipher", "'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0'"}} {
		if got := client(request, weak...); strings.Contains(got, "200 OK") || !strings.Contains(got, "alert") {
			t.Errorf("%v: %s", weak, got)
		}
	}
	if got := client("echo R; sleep 1;"+request, "-tls1_2"); strings.Contains(got, "200 OK") {
		t.Errorf("renegotiated: %s", got)
	}
}

// testSecureHandover replaces the gateway under load: no request fails.
func testSecureHandover(t *testing.T, m *testMachine, pool *x509.CertPool) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asked atomic.Int64
	var clients sync.WaitGroup
	for n := range 8 {
		client := m.world(pool, n%2 == 0)
		clients.Go(func() {
			for ctx.Err() == nil {
				res, err := client.Get("https://" + publicHost + "/headers")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("%s, %v", res.Status, err)
				}
				res.Body.Close()
				asked.Add(1)
			}
		})
	}
	for range 3 {
		before := asked.Load()
		eventually(t, time.Minute, "there is load", func() bool { return asked.Load() >= before+100 })
		m.reloadGateway(t)
	}
	before := asked.Load()
	eventually(t, time.Minute, "there is load", func() bool { return asked.Load() >= before+100 })
	stop()
	clients.Wait()
}

// testNoAuthority has everything that makes certificates gone: what was issued serves.
func testNoAuthority(t *testing.T, m *testMachine, pool *x509.CertPool) {
	m.MustRun(t, "systemctl", "stop", "pebble", "fnctl-acme.service")
	m.MustRun(t, "systemctl", "restart", gatewayUnit)
	res, err := m.world(pool, true).Get("https://" + publicHost + "/headers")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if text := m.MustRun(t, "sh", "-c", "fnctl doctor || true"); !strings.Contains(text, "fnctl-acme.service does not run") {
		t.Error(text)
	}
	m.MustRun(t, "systemctl", "start", "pebble", "fnctl-acme.service")
}

func testPublicOff(t *testing.T, m *testMachine) {
	m.MustRun(t, "fnctl", "public", "--off")
	for _, port := range []string{"80", "443"} {
		if c, err := m.DialContext(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			t.Errorf("port %s is open", port)
		}
	}
	if got := m.MustRun(t, "cat", "/etc/fnctl/fnctl.yml"); strings.Contains(got, "endpoint") || !strings.HasPrefix(got, "# mine\n") {
		t.Errorf("the settings are %q", got)
	}
	m.mustGet(t, echoURL+"/headers")
}
