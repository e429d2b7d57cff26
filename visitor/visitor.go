// Package visitor is how the platform itself asks apps: like someone who visits their address.
package visitor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/fnctl/fnctl/platform"
)

// Visitor is how the platform's own requests look to an app: like those of someone who visits its address. Frameworks refuse other
// hosts, redirect what did not come by HTTPS, and read the client's address.
type Visitor struct {
	// Host is that of the address, with its port if it names one.
	Host string
	// Scheme is http or https.
	Scheme string
}

// Of is one who visits the address of a function, or the first of its own hosts that is a name.
func Of(settings platform.Settings, name string, hosts []string) (Visitor, error) {
	u, err := url.Parse(settings.EndpointOf(name))
	if err != nil {
		return Visitor{}, fmt.Errorf("endpoint: %w", err)
	}
	v := Visitor{Host: u.Host, Scheme: u.Scheme}
	for _, host := range hosts {
		rule, err := platform.ParseHostRule(host)
		if err != nil || !rule.Names() {
			continue
		}
		if v.Host = rule.Host; u.Port() != "" {
			v.Host = net.JoinHostPort(rule.Host, u.Port())
		}
		break
	}
	return v, nil
}

// loopback is the visitor's address: who asks is on this machine.
const loopback = "127.0.0.1"

// Request is one for an instance, which is told of the visitor as the gateway tells of a client, or for the gateway by a socket whose
// fields it believes.
func (v Visitor) Request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	// On the way to a unix socket nothing is encrypted: the fields have the scheme.
	req, err := http.NewRequestWithContext(ctx, method, "http://"+v.Host+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Forwarded-For", loopback)
	req.Header.Set("X-Real-Ip", loopback)
	req.Header.Set("X-Forwarded-Host", v.Host)
	req.Header.Set("X-Forwarded-Proto", v.Scheme)
	return req, nil
}

// Transport asks one instance, past the gateway: once on each connection, so that none keeps the instance from draining.
func Transport(socket string, protocol platform.Protocol) *http.Transport {
	spoken := new(http.Protocols)
	spoken.SetHTTP1(protocol != platform.H2C)
	spoken.SetUnencryptedHTTP2(protocol == platform.H2C)
	return &http.Transport{DialContext: platform.DialUnix(socket), DisableKeepAlives: true, DisableCompression: true, Protocols: spoken}
}
