package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/gateway"
	"github.com/fnctl/fnctl/platform"
)

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, key, cert}
}

// sign returns a key and a certificate in PEM, with a serial number.
func (a *authority) sign(serial int64, hosts ...string) (keyPEM, certPEM []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: hosts, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyPEM, err = certificates.EncodeKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return keyPEM, certificates.EncodeChain(der)
}

// pool has the authority's certificate.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// secureWorld is a world whose gateway listens with TLS, too.
type secureWorld struct {
	*world
	authority  *authority
	store      certificates.Store
	challenges certificates.Challenges
	secure     net.Listener // with TLS
	plain      net.Listener // from where clients are sent to TLS
}

func newSecureWorld(t testing.TB, adjust ...func(*gateway.Config)) *secureWorld {
	t.Helper()
	s := &secureWorld{authority: newAuthority(t), store: certificates.Store{Dir: t.TempDir()}, challenges: certificates.Challenges{Dir: t.TempDir()}}
	mkdir(t, filepath.Join(s.challenges.Dir, "http-01"))
	mkdir(t, filepath.Join(s.challenges.Dir, "tls-alpn-01"))
	for _, l := range []*net.Listener{&s.secure, &s.plain} {
		var err error
		if *l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	s.world = newWorld(t, append([]func(*gateway.Config){func(cfg *gateway.Config) {
		cfg.Secure, cfg.Redirecting = []net.Listener{s.secure}, []net.Listener{s.plain}
		cfg.Certificates, cfg.Challenges = certificates.NewCache(s.store, cfg.Logger), s.challenges
	}}, adjust...)...)
	return s
}

// certify gives a host a certificate and waits until the gateway has it.
func (s *secureWorld) certify(serial int64, host string) {
	s.t.Helper()
	key, cert := s.authority.sign(serial, host)
	if err := s.store.Write(host, certificates.OriginACME, key, cert); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the certificate is served", func() bool {
		c, err := tls.Dial("tcp", s.secure.Addr().String(), s.config(strings.Replace(host, "*", "any", 1)))
		if err != nil {
			return false
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() == serial
	})
}

func (s *secureWorld) config(host string) *tls.Config {
	return &tls.Config{RootCAs: s.authority.pool(), ServerName: host}
}

// dial opens a connection to a host.
func (s *secureWorld) dial(host string, protocols ...string) *tls.Conn {
	s.t.Helper()
	config := s.config(host)
	config.NextProtos = protocols
	c, err := tls.Dial("tcp", s.secure.Addr().String(), config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(requestTimeout))
	return c
}

// visitor returns a client whose connections all go to the gateway, and that repeats nothing.
func (s *secureWorld) visitor(http2 bool) *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: s.authority.pool()}, DisableCompression: true, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", s.secure.Addr().String())
		},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

var (
	secureID   = platform.RevisionID{Function: "shop", Number: 1}
	secureHost = "shop.localhost"
)

// openShop serves an app over TLS.
func openShop(t testing.TB, app http.Handler, adjust ...func(*gateway.Config)) *secureWorld {
	t.Helper()
	s := newSecureWorld(t, adjust...)
	s.arm(secureID, 1).serve(t, app)
	s.route(secureID)
	s.certify(1, secureHost)
	return s
}

// mirror answers with what was sent, and says what it knows of the client.
var mirror = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Proto", r.Header.Get("X-Forwarded-Proto"))
	w.Header().Set("Client", r.Header.Get("X-Forwarded-For"))
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if len(content) == 0 {
		content = []byte(r.URL.Path)
	}
	w.Write(content)
})

func TestSecure(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			s := openShop(t, mirror)
			client := s.visitor(http2)
			ask := func(content string) {
				t.Helper()
				res, err := client.Post("https://"+secureHost+"/a", "", strings.NewReader(content))
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				got, err := io.ReadAll(res.Body)
				if want := max(content, "/a"); err != nil || content != "" && string(got) != content || content == "" && string(got) != want {
					t.Fatalf("got %d bytes, %v", len(got), err)
				}
				if res.Header.Get("Proto") != "https" || res.Header.Get("Client") != "127.0.0.1" || (res.ProtoMajor == 2) != http2 {
					t.Errorf("%v %v", res.Proto, res.Header)
				}
			}
			for _, size := range []int{0, 1, 1000, 16 << 10, 16<<10 + 1, 5 << 20, 0} { // a record has 16 KB
				ask(strings.Repeat("x", size))
			}
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					for n := range 20 {
						ask(strings.Repeat("y", n*1000))
					}
				})
			}
			all.Wait()
		})
	}
}

// collecting is a connection that sends several writes at once.
type collecting struct {
	net.Conn
	collects bool
	held     []byte
}

func (c *collecting) Write(p []byte) (int, error) {
	if !c.collects {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

func (c *collecting) send() {
	c.collects = false
	c.Conn.Write(c.held)
	c.held = nil
}

// What comes within a record has nothing to do with what a request is.
func TestSecureRecords(t *testing.T) {
	s := openShop(t, mirror)
	tcp, err := net.Dial("tcp", s.secure.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(requestTimeout))
	under := &collecting{Conn: tcp}
	c := tls.Client(under, s.config(secureHost))
	answers := bufio.NewReader(c)
	request := func(path string) string { return "GET /" + path + " HTTP/1.1\r\nHost: shop.localhost\r\n\r\n" }
	expect := func(paths ...string) {
		t.Helper()
		for _, path := range paths {
			res, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || string(body) != "/"+path {
				t.Fatalf("got %q, %v", body, err)
			}
		}
	}
	io.WriteString(c, request("first"))
	expect("first")
	for _, b := range []byte(request("bytes")) { // each in a record of its own
		c.Write([]byte{b})
	}
	expect("bytes")
	io.WriteString(c, request("a")+request("b")+request("c"))
	expect("a", "b", "c")
	under.collects = true
	for _, path := range []string{"e", "f", "g"} { // records of their own that come at once
		io.WriteString(c, request(path))
	}
	under.send()
	expect("e", "f", "g")
	long := strings.Repeat("l", 30<<10) // over two records
	io.WriteString(c, request(long)+request("d"))
	expect(long, "d")
	time.Sleep(600 * time.Millisecond) // it may have fallen asleep, which nothing outside tells
	io.WriteString(c, request("awake"))
	expect("awake")
}

// A record that comes in pieces is waited for without holding anything up.
func TestSecurePieces(t *testing.T) {
	s := openShop(t, mirror)
	near, far := net.Pipe()
	tcp, err := net.Dial("tcp", s.secure.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	go io.Copy(near, tcp)
	go func() {
		buf := make([]byte, 3)
		for {
			n, err := near.Read(buf)
			if err != nil {
				return
			}
			tcp.Write(buf[:n])
		}
	}()
	c := tls.Client(far, s.config(secureHost))
	defer far.Close()
	far.SetDeadline(time.Now().Add(requestTimeout))
	for n := range 3 {
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 3000\r\n\r\n%s", strings.Repeat("z", 3000))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(n, err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || len(body) != 3000 {
			t.Fatal(n, len(body), err)
		}
	}
}

func TestSecureWebSocket(t *testing.T) {
	s := openShop(t, http.HandlerFunc(echoMessages))
	ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "wss://"+secureHost, &websocket.DialOptions{HTTPClient: s.visitor(false)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(-1)
	for _, size := range []int{1, 100, 40000, 1 << 20} {
		sent := bytes.Repeat([]byte("w"), size)
		if err := c.Write(ctx, websocket.MessageBinary, sent); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d of %d bytes came back: %v", len(got), size, err)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
}

// A successor gets the sockets of each kind. What is encrypted with the keys of the gateway before it stays there.
func TestSecureHandover(t *testing.T) {
	s := openShop(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			mirror(w, r)
			return
		}
		echoMessages(w, r)
	}), withStatus(t))
	ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
	defer cancel()
	c, _, err := websocket.Dial(ctx, "wss://"+secureHost, &websocket.DialOptions{HTTPClient: s.visitor(false)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for n := range 3 {
		sent := fmt.Sprint("message ", n)
		if err := c.Write(ctx, websocket.MessageText, []byte(sent)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != sent {
			t.Fatalf("gateway %d: got %q, %v", n, got, err)
		}
		res, err := s.visitor(true).Get("https://" + secureHost + "/new")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		plain, err := net.Dial("tcp", s.plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(plain, "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
		if got, _ := io.ReadAll(plain); !bytes.HasPrefix(got, []byte("HTTP/1.1 308")) {
			t.Errorf("gateway %d: %.60q", n, got)
		}
		plain.Close()
		s.succeed(func(cfg *gateway.Config) {
			cfg.Certificates, cfg.Challenges = certificates.NewCache(s.store, cfg.Logger), s.challenges
		})
	}
}

// A response whose end is that of the connection must not look whole when it is not.
func TestSecureBrokenOff(t *testing.T) {
	whole := make(chan bool, 1)
	s := openShop(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		if !<-whole {
			panic(http.ErrAbortHandler)
		}
	}))
	for _, is := range []bool{true, false} {
		whole <- is
		c := s.dial(secureHost)
		io.WriteString(c, "GET / HTTP/1.0\r\nHost: shop.localhost\r\n\r\n")
		if got, err := io.ReadAll(c); (err == nil) != is || is && !bytes.HasSuffix(got, []byte("half")) {
			t.Errorf("whole: %v: %q, %v", is, got, err)
		}
	}
}

func TestHandshakes(t *testing.T) {
	s := openShop(t, mirror, func(cfg *gateway.Config) { cfg.ReadHeaderTimeout = 500 * time.Millisecond })
	s.certify(2, "*.tenants.example.com")
	outcome := func(name string) float64 { return s.metric(gateway.MetricHandshakes, "outcome="+name) }
	dial := func(adjust func(*tls.Config)) error {
		config := s.config(secureHost)
		adjust(config)
		c, err := tls.Dial("tcp", s.secure.Addr().String(), config)
		if err == nil {
			c.Close()
		}
		return err
	}
	for name, test := range map[string]struct {
		adjust  func(*tls.Config)
		alert   string // "": none
		outcome string
	}{
		"a wildcard":       {func(c *tls.Config) { c.ServerName = "a.tenants.example.com" }, "", "done"},
		"upper case":       {func(c *tls.Config) { c.ServerName = "Shop.LOCALHOST" }, "", "done"},
		"TLS 1.2":          {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "", "done"},
		"another name":     {func(c *tls.Config) { c.ServerName = "other.example.com" }, "unrecognized name", "no_certificate"},
		"below a wildcard": {func(c *tls.Config) { c.ServerName = "a.b.tenants.example.com" }, "unrecognized name", "no_certificate"},
		"no name":          {func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "", true }, "unrecognized name", "no_certificate"},
		"TLS 1.1":          {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "protocol version not supported", "failed"},
		"no forward secrecy": {func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}
		}, "handshake failure", "failed"},
		"a protocol that nobody has":  {func(c *tls.Config) { c.NextProtos = []string{"ftp"} }, "no application protocol", "failed"},
		"a challenge that is not due": {func(c *tls.Config) { c.NextProtos = []string{"acme-tls/1"} }, "internal error", "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			before := outcome(test.outcome)
			err := dial(test.adjust)
			if test.alert == "" && err != nil || test.alert != "" && (err == nil || !strings.Contains(err.Error(), test.alert)) {
				t.Errorf("got %v, want %q", err, test.alert)
			}
			s.eventually("it counts as "+test.outcome, func() bool { return outcome(test.outcome) > before })
		})
	}
	t.Run("resumed", func(t *testing.T) {
		config := s.config(secureHost)
		config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for n := range 2 {
			c, err := tls.Dial("tcp", s.secure.Addr().String(), config)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
			io.ReadAll(c) // the ticket comes with it
			c.Close()
			if c.ConnectionState().DidResume != (n == 1) {
				t.Errorf("connection %d: resumed: %v", n, c.ConnectionState().DidResume)
			}
		}
	})
	t.Run("nothing is said", func(t *testing.T) {
		c, err := net.Dial("tcp", s.secure.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(requestTimeout))
		if n, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes, %v", n, err)
		}
		s.eventually("it counts", func() bool { return outcome("timeout") == 1 })
	})
	t.Run("HTTP without TLS", func(t *testing.T) {
		c, err := net.Dial("tcp", s.secure.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(requestTimeout))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
		if got, _ := io.ReadAll(c); bytes.Contains(got, []byte("200 OK")) {
			t.Errorf("answered with %q", got)
		}
	})
}

// What was agreed on is spoken, and nothing else.
func TestSecureProtocols(t *testing.T) {
	s := openShop(t, mirror)
	for _, test := range []struct{ agreed, sent, want string }{
		{"h2", "GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n", "HTTP/1.1 400"},
		{"http/1.1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400"},
		{"", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 400"},
		{"http/1.1", "GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 200"},
	} {
		var protocols []string
		if test.agreed != "" {
			protocols = []string{test.agreed}
		}
		c := s.dial(secureHost, protocols...)
		io.WriteString(c, test.sent)
		if got, _ := io.ReadAll(c); !strings.HasPrefix(string(got), test.want) {
			t.Errorf("agreed on %q, sent %.20q: %.100q", test.agreed, test.sent, got)
		}
	}
}

func TestRedirect(t *testing.T) {
	s := openShop(t, mirror)
	port := s.secure.Addr().(*net.TCPAddr).Port
	other := platform.RevisionID{Function: "bare", Number: 1}
	s.arm(other, 1).serve(t, mirror)
	s.route(other)
	if err := s.challenges.WriteHTTP("token-1", "token-1.thumbprint"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.challenges.Dir, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for target, test := range map[string]struct {
		host   string
		status int
		want   string // of the location, or the text
	}{
		"/a%2Fb?c=d%20e":                          {secureHost, 308, fmt.Sprintf("https://shop.localhost:%d/a%%2Fb?c=d%%20e", port)},
		"//evil.example.com/":                     {secureHost, 308, fmt.Sprintf("https://shop.localhost:%d//evil.example.com/", port)},
		"/?nobody":                                {"nobody.example.com", 404, "no function is reached"},
		"/?bare":                                  {"bare.localhost", 503, "no certificate yet"},
		"/.well-known/acme-challenge/token-1":     {"whoever.example.com", 200, "token-1.thumbprint"},
		"/.well-known/acme-challenge/token-2":     {secureHost, 404, "no authority"},
		"/.well-known/acme-challenge/../secret":   {secureHost, 404, "no authority"},
		"/.well-known/acme-challenge/..%2Fsecret": {secureHost, 404, "no authority"},
		"/.well-known/acme-challenge/":            {secureHost, 404, "no authority"},
	} {
		c, err := net.Dial("tcp", s.plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, test.host)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		c.Close()
		got := string(text)
		if res.StatusCode == http.StatusPermanentRedirect {
			got = res.Header.Get("Location")
		}
		if res.StatusCode != test.status || !strings.Contains(got, test.want) {
			t.Errorf("%s: %d, %q", target, res.StatusCode, got)
		}
	}
}

func TestSecureChallenge(t *testing.T) {
	s := openShop(t, mirror)
	key, cert := s.authority.sign(77, "new.example.com")
	if err := s.challenges.WriteALPN("new.example.com", key, cert); err != nil {
		t.Fatal(err)
	}
	c := s.dial("new.example.com", "acme-tls/1")
	if got := c.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != 77 {
		t.Errorf("certificate %d", got)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n")
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("the challenge answers %q", got)
	}
}

// A certificate that is replaced is served at once, and one that is broken does not take the place of one that is good.
func TestCertificateReplaced(t *testing.T) {
	s := openShop(t, mirror)
	old := s.dial(secureHost)
	s.certify(2, secureHost)
	if err := os.WriteFile(filepath.Join(s.store.Dir, secureHost+".pem"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.certify(3, "other.localhost") // what came before it has been seen
	if got := s.dial(secureHost).ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != 2 {
		t.Errorf("certificate %d", got)
	}
	io.WriteString(old, "GET /old HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n")
	if got, _ := io.ReadAll(old); !bytes.HasSuffix(got, []byte("/old")) {
		t.Errorf("the old connection: %q", got)
	}
	if !s.has(gateway.MetricCertificateExpiry, "host="+secureHost) {
		t.Error("there is no metric of the certificate")
	}
}

// A load balancer says whose a connection is before anything else, and nobody else can.
func TestProxyProtocol(t *testing.T) {
	trusted := func(cfg *gateway.Config) {
		cfg.ProxyProtocol = true
		cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		cfg.ReadHeaderTimeout = 2 * time.Second
		cfg.MaxConnectionsPerAddress = 2
	}
	const line, request = "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "GET / HTTP/1.1\r\nHost: shop.localhost\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
	ask := func(t *testing.T, s *secureWorld, secure bool, header string) (client string, err error) {
		t.Helper()
		addr := s.addr
		if secure {
			addr = s.secure.Addr().String()
		}
		tcp, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tcp.Close() })
		tcp.SetDeadline(time.Now().Add(requestTimeout))
		for _, b := range []byte(header) { // it comes as it likes
			tcp.Write([]byte{b})
		}
		var c net.Conn = tcp
		if secure {
			c = tls.Client(tcp, s.config(secureHost))
		}
		if _, err := io.WriteString(c, request); err != nil {
			return "", err
		}
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return "", err
		}
		if res.StatusCode != http.StatusOK {
			return "", errors.New(res.Status)
		}
		return res.Header.Get("Client"), nil
	}
	s := newSecureWorld(t, trusted)
	s.arm(secureID, 1).serve(t, mirror)
	s.route(secureID)
	key, cert := s.authority.sign(1, secureHost)
	if err := s.store.Write(secureHost, certificates.OriginACME, key, cert); err != nil {
		t.Fatal(err)
	}
	s.eventually("the certificate is there", func() bool { return s.has(gateway.MetricCertificateExpiry, "host="+secureHost) })
	for _, secure := range []bool{false, true} {
		if client, err := ask(t, s, secure, line); err != nil || client != "192.0.2.1" {
			t.Errorf("secure: %v: the client is %q, %v", secure, client, err)
		}
		if client, err := ask(t, s, secure, ""); err == nil {
			t.Errorf("secure: %v: without a header the client is %q", secure, client)
		}
		if client, err := ask(t, s, secure, "PROXY TCP4 127.0.0.9 198.51.100.1 1 443\r\n"); err != nil || secure && client != "6.6.6.6" {
			t.Errorf("secure: %v: behind two proxies the client is %q, %v", secure, client, err)
		}
	}
	// Both connections of the one address are open still.
	if client, err := ask(t, s, false, line); err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("one connection too many: %q, %v", client, err)
	}
	strangers := openShop(t, mirror, func(cfg *gateway.Config) { cfg.ProxyProtocol = true })
	if client, err := ask(t, strangers, true, ""); err != nil || client != "127.0.0.1" {
		t.Errorf("whom nobody trusts is %q, %v", client, err)
	}
	if client, err := ask(t, strangers, false, line); err == nil {
		t.Errorf("whom nobody trusts says that it is %q", client)
	}
}
