package platform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"gopkg.in/yaml.v3"
)

// Settings are the platform's own settings, /etc/fnctl/fnctl.yml.
type Settings struct {
	// Endpoint is the address of each function, with {name} in the place of its name. The gateway takes its host from it;
	// the address that it listens on is fnctl-gateway.socket's.
	Endpoint string `yaml:"endpoint"`
	// Metrics says where the activator learns of load.
	Metrics MetricsSettings `yaml:"metrics"`
}

// MetricsSource is where the activator learns of load.
type MetricsSource string

const (
	// SourceGateway is the gateway itself.
	SourceGateway MetricsSource = "gateway"
	// SourcePrometheus is a Prometheus server that scrapes the gateway.
	SourcePrometheus MetricsSource = "prometheus"
)

// MetricsSettings say where the activator learns of load.
type MetricsSettings struct {
	Source MetricsSource `yaml:"source"`
	// URL is the address of the Prometheus server. Functions that scale by a query need it whatever Source is.
	URL string `yaml:"url"`
}

const namePlaceholder = "{name}"

// DefaultSettings are those of a machine without a settings file.
func DefaultSettings() Settings {
	return Settings{
		Endpoint: "http://{name}.localhost:8080",
		Metrics:  MetricsSettings{Source: SourceGateway, URL: "http://127.0.0.1:9090"},
	}
}

// LoadSettings reads the settings file; one that doesn't exist means the defaults.
func LoadSettings(paths Paths) (Settings, error) {
	s := DefaultSettings()
	data, err := os.ReadFile(paths.Settings())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the settings: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return s, fmt.Errorf("%s: %w", paths.Settings(), err)
	}
	if err := s.check(); err != nil {
		return s, fmt.Errorf("%s: %w", paths.Settings(), err)
	}
	return s, nil
}

func (s Settings) check() error {
	var errs []error
	if err := s.checkEndpoint(); err != nil {
		errs = append(errs, fmt.Errorf("endpoint: %w", err))
	}
	if source := s.Metrics.Source; source != SourceGateway && source != SourcePrometheus {
		errs = append(errs, fmt.Errorf("metrics.source: must be %s or %s, got %q", SourceGateway, SourcePrometheus, clip(string(source))))
	}
	if err := checkServer(s.Metrics.URL); err != nil {
		errs = append(errs, fmt.Errorf("metrics.url: %w", err))
	}
	return errors.Join(errs...)
}

// checkServer doesn't show an address that has a password.
func checkServer(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("must be the address of a Prometheus server, such as http://127.0.0.1:9090")
	case u.User != nil:
		return errors.New("must have no user and password: everybody may read this file")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("%q must end with the host, port or path of the server", clip(address))
	}
	return nil
}

func (s Settings) checkEndpoint() error {
	if strings.Count(s.Endpoint, namePlaceholder) != 1 {
		return fmt.Errorf("%q must have {name} once, such as in http://{name}.example.com", s.Endpoint)
	}
	u, err := url.Parse(s.EndpointOf("name"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("%q must be http:// or https://, a host with {name}, and at most a port", s.Endpoint)
	}
	if !strings.Contains(u.Hostname(), "name") {
		return fmt.Errorf("%q must have {name} in its host", s.Endpoint)
	}
	return CheckHost(strings.ToLower(u.Hostname()))
}

// EndpointOf is the address of a function.
func (s Settings) EndpointOf(name string) string {
	return strings.Replace(s.Endpoint, namePlaceholder, name, 1)
}

// FunctionOf is the function that a host is the address of, if it is one's.
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
