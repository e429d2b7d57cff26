package platform_test

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func loadSettings(t *testing.T, text string) (platform.Settings, error) {
	t.Helper()
	paths := platform.Paths{Root: t.TempDir()}
	writeFixture(t, paths.Settings(), text)
	settings, err := platform.LoadSettings(paths)
	if err != nil && !strings.HasPrefix(err.Error(), paths.Settings()+": ") {
		t.Errorf("%v doesn't name the file", err)
	}
	return settings, err
}

func TestLoadSettings(t *testing.T) {
	for text, want := range map[string]platform.MetricsSettings{
		"":                              {Source: "gateway", URL: "http://127.0.0.1:9090"},
		"metrics:":                      {Source: "gateway", URL: "http://127.0.0.1:9090"},
		"metrics: {source: gateway}":    {Source: "gateway", URL: "http://127.0.0.1:9090"},
		"metrics: {source: prometheus}": {Source: "prometheus", URL: "http://127.0.0.1:9090"},
		"metrics: {url: 'https://prom.example.com/base/'}": {Source: "gateway", URL: "https://prom.example.com/base/"},
	} {
		settings, err := loadSettings(t, text)
		if err != nil || settings.Metrics != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, settings.Metrics, err, want)
		}
	}
}

func TestLoadSettingsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"metrics: {source: Prometheus}":                        `metrics.source: must be gateway or prometheus, got "Prometheus"`,
		"metrics: {source: ''}":                                `metrics.source: must be gateway or prometheus, got ""`,
		"metrics: {url: ''}":                                   "metrics.url: must be the address of a Prometheus server, such as http://127.0.0.1:9090",
		"metrics: {url: '127.0.0.1:9090'}":                     "metrics.url: must be the address of a Prometheus server",
		"metrics: {url: 'ftp://127.0.0.1'}":                    "metrics.url: must be the address of a Prometheus server",
		"metrics: {url: 'http://a:hush@127.0.0.1'}":            "metrics.url: must have no user and password",
		"metrics: {url: 'http://127.0.0.1?x'}":                 "metrics.url: ",
		"metrics: {address: 'http://127.0.0.1'}":               "field address not found",
		"metrics: prometheus":                                  "cannot unmarshal",
		"{endpoint: 'http://x', metrics: {source: x, url: y}}": "metrics.url",
	} {
		_, err := loadSettings(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// What stands in comments in the shipped file is the default.
func TestShippedSettings(t *testing.T) {
	lines := strings.Split(string(readFixture(t, "../packaging/etc/fnctl.yml")), "\n")
	for i, line := range lines {
		if commented, found := strings.CutPrefix(line, "#"); found && !strings.HasPrefix(commented, " ") || strings.HasPrefix(line, "#  ") {
			lines[i] = strings.TrimPrefix(line, "#")
		}
	}
	settings, err := loadSettings(t, strings.Join(lines, "\n"))
	if err != nil || settings != platform.DefaultSettings() {
		t.Errorf("got %+v, %v, want %+v", settings, err, platform.DefaultSettings())
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
