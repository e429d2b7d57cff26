package platform

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// Settings are the platform's own settings, /etc/fnctl/fnctl.yml.
type Settings struct {
	// Endpoint is the address of each function, with {name} in the place of its name. The gateway takes its host from it;
	// the address that it listens on is fnctl-gateway.socket's.
	Endpoint string
	// Metrics is where the activator learns of load.
	Metrics MetricsSettings
	// Gateway are the limits of the gateway.
	Gateway GatewaySettings
	// Standby is about instances in standby.
	Standby StandbySettings
	// Poised is about instances that wait in their sandbox.
	Poised PoisedSettings
	// ACME is about the authorities that certificates are from.
	ACME ACMESettings
}

// PoisedSettings are about instances that wait in their sandbox for a request.
type PoisedSettings struct {
	// Count is how many there may be at most.
	Count int
	// Memory is the part of the machine's memory that all of them together may have, from 0 to 1.
	Memory float64
}

// StandbySettings are about instances in standby.
type StandbySettings struct {
	// Memory is the part of the machine's memory that all of them together may have, from 0 to 1.
	Memory float64
	// Swap says whether their memory may be moved to swap, where there is some.
	Swap bool
}

// MetricsSource is where the activator learns of load.
type MetricsSource string

const (
	// SourceGateway is the gateway itself.
	SourceGateway MetricsSource = "gateway"
	// SourcePrometheus is a Prometheus server that scrapes the gateway.
	SourcePrometheus MetricsSource = "prometheus"
)

// MetricsSettings are where the activator learns of load.
type MetricsSettings struct {
	Source MetricsSource
	// URL is the address of the Prometheus server. Functions that scale by a query need it whatever Source is.
	URL string
}

const namePlaceholder = "{name}"

// endpoints is the kind of Endpoint.
var endpoints = keys.Text[string]{Parse: keys.Checked(checkEndpoint), What: "an address such as http://{name}.example.com"}

func checkEndpoint(endpoint string) error {
	if strings.Count(endpoint, namePlaceholder) != 1 {
		return fmt.Errorf("%q must have {name} once, such as in http://{name}.example.com", Clip(endpoint))
	}
	u, err := url.Parse(Settings{Endpoint: endpoint}.EndpointOf("name"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("%q must be http:// or https://, a host with {name}, and at most a port", Clip(endpoint))
	}
	if !strings.Contains(u.Hostname(), "name") {
		return fmt.Errorf("%q must have {name} in its host", Clip(endpoint))
	}
	return CheckHost(strings.ToLower(u.Hostname()))
}

// servers is the kind of addresses of Prometheus servers.
var servers = keys.Text[string]{Parse: keys.Checked(checkServer), What: "the address of a Prometheus server, such as http://127.0.0.1:9090"}

// checkServer doesn't show an address that has a password.
func checkServer(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("must be the address of a Prometheus server, such as http://127.0.0.1:9090")
	case u.User != nil:
		return errors.New("must have no user and password: everybody may read this file")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("%q must end with the host, port or path of the server", Clip(address))
	}
	return nil
}

// EndpointOf is the address of a function.
func (s Settings) EndpointOf(name string) string {
	return strings.Replace(s.Endpoint, namePlaceholder, name, 1)
}

// FunctionOf returns the function whose address has a host, and whether there can be one.
func (s Settings) FunctionOf(host string) (name string, is bool) {
	const any = "any-function-of-this-machine" // braces cannot stand in a host
	before, after, found := strings.Cut(s.HostOf(any), any)
	if !found {
		return "", false
	}
	name, hasBefore := strings.CutPrefix(host, before)
	name, hasAfter := strings.CutSuffix(name, after)
	return name, hasBefore && hasAfter && CheckName(name) == nil
}

// HostOf is the host name of a function, in lower case and without a port.
func (s Settings) HostOf(name string) string {
	u, err := url.Parse(s.EndpointOf(name))
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// TagEndpointOf returns the address at which a label leads to one revision of a function: a tag, or the revision's number.
func (s Settings) TagEndpointOf(name, label string) string {
	u, err := url.Parse(s.EndpointOf(name))
	if err != nil {
		return ""
	}
	u.Host = label + "." + u.Host
	return u.String()
}
