package platform_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/fnctl/fnctl/platform"
)

// loadSettings loads a settings file. In the error the file is FILE.
func loadSettings(t *testing.T, text string) (platform.Settings, string) {
	t.Helper()
	paths := platform.Paths{Root: t.TempDir()}
	writeFixture(t, paths.Settings(), text)
	settings, err := platform.LoadSettings(paths)
	return settings, strings.ReplaceAll(errorText(err), paths.Settings(), "FILE")
}

func TestLoadSettings(t *testing.T) {
	for text, change := range map[string]func(*platform.Settings){
		"":                           nil,
		"metrics:":                   nil,
		"gateway: {}":                nil,
		"metrics: {source: gateway}": nil,
		"gateway: {max_queue: null, trusted_proxies: []}":  nil,
		"metrics: {source: prometheus}":                    func(s *platform.Settings) { s.Metrics.Source = platform.SourcePrometheus },
		"metrics: {url: 'https://prom.example.com/base/'}": func(s *platform.Settings) { s.Metrics.URL = "https://prom.example.com/base/" },
		"endpoint: https://{name}.fn.example.com:8443":     func(s *platform.Settings) { s.Endpoint = "https://{name}.fn.example.com:8443" },
		"gateway: {max_queue: 1, max_buffered: 1Gi}": func(s *platform.Settings) {
			s.Gateway.MaxQueue, s.Gateway.MaxBuffered = 1, 1<<30
		},
		"gateway: {max_connections: 5, max_connections_per_address: 0, max_header: 8K}": func(s *platform.Settings) {
			s.Gateway.MaxConnections, s.Gateway.MaxConnectionsPerAddress, s.Gateway.MaxHeader = 5, 0, 8000
		},
		"gateway: {min_rate: 0}": func(s *platform.Settings) { s.Gateway.MinRate = 0 },
		"gateway: {read_header_timeout: 1.5, idle_timeout: 2m, drain_timeout: 1h}": func(s *platform.Settings) {
			s.Gateway.ReadHeaderTimeout, s.Gateway.IdleTimeout, s.Gateway.DrainTimeout = 1500*time.Millisecond, 2*time.Minute, time.Hour
		},
		"gateway: {trusted_proxies: '::ffff:192.0.2.1'}": func(s *platform.Settings) {
			s.Gateway.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}
		},
		"gateway: {trusted_proxies: [10.0.0.0/8, fd00::/8, '::1']}": func(s *platform.Settings) {
			s.Gateway.TrustedProxies = []netip.Prefix{
				netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::1/128"),
			}
		},
		"standby: {memory: 20%}":                          func(s *platform.Settings) { s.Standby.Memory = 0.2 },
		"standby: {memory: 0}":                            func(s *platform.Settings) { s.Standby.Memory = 0 },
		"standby: {memory: 12.5%}":                        func(s *platform.Settings) { s.Standby.Memory = 0.125 },
		"gateway: {access_log: on}":                       nil,
		"gateway: {access_log: 'on'}":                     nil,
		"gateway: {access_log: true}":                     nil,
		"gateway: {access_log: off}":                      func(s *platform.Settings) { s.Gateway.AccessLog = platform.AccessLogOff },
		"gateway: {access_log: false}":                    func(s *platform.Settings) { s.Gateway.AccessLog = platform.AccessLogOff },
		"poised: {count: 0, memory: 5%}":                  func(s *platform.Settings) { s.Poised = platform.PoisedSettings{Memory: 0.05} },
		"gateway: {access_log: errors}":                   func(s *platform.Settings) { s.Gateway.AccessLog = platform.AccessLogErrors },
		"standby: {swap: true}":                           nil,
		"standby: {swap: false}":                          func(s *platform.Settings) { s.Standby.Swap = false },
		"acme: {email: '', root_ca: '', dns: {hook: ''}}": nil,
		"acme: {dns: null}":                               nil,
		"acme: {dns: {}}":                                 nil,
		"acme: {email: a@example.com, root_ca: /etc/ca.pem, dns: {hook: /usr/local/bin/hook}}": func(s *platform.Settings) {
			s.ACME.Email, s.ACME.RootCA, s.ACME.DNS.Hook = "a@example.com", "/etc/ca.pem", "/usr/local/bin/hook"
		},
		"acme: {directory: [https://ca.example.com/dir, 'https://[::1]:14000/dir']}": func(s *platform.Settings) {
			s.ACME.Directories = []string{"https://ca.example.com/dir", "https://[::1]:14000/dir"}
		},
	} {
		want := platform.DefaultSettings()
		if change != nil {
			change(&want)
		}
		settings, err := loadSettings(t, text)
		if err != "" || !reflect.DeepEqual(settings, want) {
			t.Errorf("%s: got %+v, %s, want %+v", text, settings, err, want)
		}
	}
}

func TestDefaultSettings(t *testing.T) {
	want := platform.Settings{
		Endpoint: "http://{name}.localhost:8080",
		Metrics:  platform.MetricsSettings{Source: platform.SourceGateway, URL: "http://127.0.0.1:9090"},
		Gateway: platform.GatewaySettings{
			MaxQueue: 1000, MaxBuffered: 64 << 20, MaxConnections: 32768, MaxConnectionsPerAddress: 4096,
			ReadHeaderTimeout: 10 * time.Second, MinRate: 500, IdleTimeout: 75 * time.Second, MaxHeader: 64 << 10, DrainTimeout: 90 * time.Second,
			AccessLog: platform.AccessLogOn,
		},
		Standby: platform.StandbySettings{Memory: 0.5, Swap: true},
		Poised:  platform.PoisedSettings{Count: 64, Memory: 0.02},
		ACME:    platform.ACMESettings{Directories: []string{"https://acme-v02.api.letsencrypt.org/directory"}},
	}
	if got := platform.DefaultSettings(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	got, err := platform.LoadSettings(platform.Paths{Root: t.TempDir()})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("without a file: got %+v, %v", got, err)
	}
}

func TestLoadSettingsRefuses(t *testing.T) {
	const size = "a size such as 1G, in K, KB, Ki, M, MB, Mi, G, GB or Gi"
	for text, want := range map[string]string{
		"standby: {memory: 101%}":                   `1:11: standby.memory: must be a part such as 50%, at most 100%, got "101%"`,
		"standby: {memory: -1%}":                    `1:11: standby.memory: must be a part such as 50%, at most 100%, got "-1%"`,
		"standby: {memory: 0.5}":                    `1:11: standby.memory: must be a part such as 50%, at most 100%, got 0.5`,
		"standby: {memory: NaN%}":                   `1:11: standby.memory: must be a part such as 50%, at most 100%, got "NaN%"`,
		"metrics: {source: Prometheus}":             `1:11: metrics.source: must be one of gateway, prometheus, got "Prometheus", did you mean prometheus?`,
		"metrics: {source: ''}":                     `1:11: metrics.source: must be one of gateway, prometheus, got ""`,
		"metrics: {url: ''}":                        "1:11: metrics.url: must be the address of a Prometheus server, such as http://127.0.0.1:9090",
		"metrics: {url: '127.0.0.1:9090'}":          "1:11: metrics.url: must be the address of a Prometheus server, such as http://127.0.0.1:9090",
		"metrics: {url: 'ftp://127.0.0.1'}":         "1:11: metrics.url: must be the address of a Prometheus server, such as http://127.0.0.1:9090",
		"metrics: {url: 'http://a:hush@127.0.0.1'}": "1:11: metrics.url: must have no user and password: everybody may read this file",
		"metrics: {url: 'http://127.0.0.1?x'}":      `1:11: metrics.url: "http://127.0.0.1?x" must end with the host, port or path of the server`,
		"metrics: {address: 'http://127.0.0.1'}":    "1:11: metrics.address: unknown key, known are source, url",
		"metrics: prometheus":                       `1:1: metrics: must be a mapping of keys to values, got "prometheus"`,
		"endpoint: http://x\nmetrics: {url: y}": `1:1: endpoint: "http://x" must have {name} once, such as in http://{name}.example.com` +
			"\nFILE:2:11: metrics.url: must be the address of a Prometheus server, such as http://127.0.0.1:9090",
		"endpoint: http://{name}.example.com/x": `1:1: endpoint: "http://{name}.example.com/x" must be http:// or https://, a host with {name}, and at most a port`,
		"gateway:\n  max_queu: 1":               "2:3: gateway.max_queu: unknown key, did you mean gateway.max_queue?",
		"max_queue: 1":                          "1:1: max_queue: unknown key, did you mean gateway.max_queue?",
		"gateway: {max_queue: 0}":               "1:11: gateway.max_queue: must be an integer of at least 1, got 0",
		"gateway: {max_buffered: 64}":           "1:11: gateway.max_buffered: must be " + size + ", from 1Mi to 1024Gi, got 64",
		"gateway: {max_buffered: 0}":            "1:11: gateway.max_buffered: must be " + size + ", from 1Mi to 1024Gi, got 0",
		"gateway: {max_buffered: 1K}":           `1:11: gateway.max_buffered: must be at least 1Mi, got "1K"`,
		"gateway: {max_header: 2M}":             `1:11: gateway.max_header: must be at most 1Mi, got "2M"`,
		"gateway: {min_rate: -1}":               "1:11: gateway.min_rate: must be an integer of at least 0, got -1",
		"gateway: {max_connections: many}":      `1:11: gateway.max_connections: must be an integer of at least 1, got "many"`,
		"gateway: {idle_timeout: 500ms}":        `1:11: gateway.idle_timeout: must be seconds, or a duration such as 90s or 2m, from 1s to 1h, got "500ms"`,
		"gateway: {drain_timeout: 0}":           "1:11: gateway.drain_timeout: must be seconds, or a duration such as 90s or 2m, from 1s to 1h, got 0",
		"gateway: {trusted_proxies: localhost}": `1:11: gateway.trusted_proxies: must be an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8, got "localhost"`,
		"gateway: {trusted_proxies: [10.1.0.0/8]}": `1:29: gateway.trusted_proxies: must be a prefix whose other bits are 0: 10.0.0.0/8, ` +
			`got "10.1.0.0/8"`,
		"gateway: {trusted_proxies: ['::ffff:10.0.0.0/104']}": `1:29: gateway.trusted_proxies: must be an IPv4 prefix such as 10.0.0.0/8, ` +
			`got "::ffff:10.0.0.0/104"`,
		"gateway: {trusted_proxies: [fe80::1%eth0]}": `1:29: gateway.trusted_proxies: must be an address such as 192.0.2.1 or a prefix such as 10.0.0.0/8, ` +
			`got "fe80::1%eth0"`,
		"acme: {email: 'A <a@example.com>'}": `1:8: acme.email: must be an address such as admin@example.com, got "A <a@example.com>"`,
		"acme: {directory: 'http://ca.example.com'}": "1:8: acme.directory: must be the address of an ACME directory, such as " +
			`https://acme-v02.api.letsencrypt.org/directory, got "http://ca.example.com"`,
		"acme: {directory: 'https://a:hush@example.com'}": "1:8: acme.directory: must have no user and password: everybody may read this file",
		"acme: {root_ca: ca.pem}":                         `1:8: acme.root_ca: must be the absolute path of a file, got "ca.pem"`,
		"acme: {dns: {hook: /etc/../x}}":                  `1:14: acme.dns.hook: must be the absolute path of a file, got "/etc/../x"`,
		"acme: {dns: {hok: /x}}":                          "1:14: acme.dns.hok: unknown key, did you mean acme.dns.hook?",
		"acme: {dns: route53}":                            `1:8: acme.dns: must be a mapping of keys to values, got "route53"`,
		"acme: {hook: /x}":                                "1:8: acme.hook: unknown key, did you mean acme.dns.hook?",
		"gateway: {access_log: On}":                       `1:11: gateway.access_log: must be one of on, errors, off, got "On", did you mean on?`,
		"gateway: {access_log: 1}":                        "1:11: gateway.access_log: must be one of on, errors, off, got 1",
		"gateway: [":                                      "1:1: invalid YAML: did not find expected node content",
	} {
		settings, err := loadSettings(t, text)
		if want = "FILE:" + want; err != want {
			t.Errorf("%s: got\n%s\nwant\n%s", text, err, want)
		}
		if !reflect.DeepEqual(settings, platform.Settings{}) {
			t.Errorf("%s: got the settings %+v beside the error", text, settings)
		}
	}
}

const shippedSettings = "../packaging/etc/fnctl.yml"

// What stands in comments in the shipped file is the default, and nothing is missing there.
func TestShippedSettings(t *testing.T) {
	lines := strings.Split(string(readFixture(t, shippedSettings)), "\n")
	for i, line := range lines {
		if commented, found := strings.CutPrefix(line, "#"); found && !strings.HasPrefix(commented, " ") || strings.HasPrefix(line, "#  ") {
			lines[i] = strings.TrimPrefix(line, "#")
		}
	}
	text := strings.Join(lines, "\n")
	settings, err := loadSettings(t, text)
	if want := platform.DefaultSettings(); err != "" || !reflect.DeepEqual(settings, want) {
		t.Errorf("got %+v, %s, want %+v", settings, err, want)
	}
	var shipped map[string]any
	if err := yaml.Unmarshal([]byte(text), &shipped); err != nil {
		t.Fatal(err)
	}
	for _, path := range platform.SettingsPaths() {
		at := any(shipped)
		for name := range strings.SplitSeq(path, ".") {
			section, _ := at.(map[string]any)
			at = section[name]
		}
		if at == nil {
			t.Errorf("%s: %s is missing", shippedSettings, path)
		}
	}
}

const settingsManual = "../docs/fnctl.yml.md"

func TestSettingsManualTable(t *testing.T) { compareTable(t, settingsManual, platform.SettingsTable()) }

func TestSettingsManualExamples(t *testing.T) {
	files := append(platform.SettingsExamples(), yamlBlocks(t, settingsManual)...)
	for _, file := range files {
		if _, err := loadSettings(t, file); err != "" {
			t.Errorf("%s in\n%s", err, file)
		}
	}
	if got, want := len(files), 15; got < want {
		t.Errorf("got %d examples, want at least %d", got, want)
	}
}

func TestFunctionOf(t *testing.T) {
	settings := platform.Settings{Endpoint: "https://{name}.fn.example.com:8443"}
	for host, want := range map[string]string{
		"ping.fn.example.com": "ping", "fn.example.com": "", "a.b.fn.example.com": "", "ping.example.com": "", "ping.fn.example.com.": "",
	} {
		if got, is := settings.FunctionOf(host); is != (want != "") || is && got != want {
			t.Errorf("%s: got %q %v, want %q", host, got, is, want)
		}
	}
	if got, is := platform.DefaultSettings().FunctionOf("ping.localhost"); !is || got != "ping" {
		t.Errorf("got %q %v", got, is)
	}
}
