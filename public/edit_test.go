package public

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestEditSettings(t *testing.T) {
	endpoint := edit{"endpoint", "https://{name}.fn.example.com"}
	source := edit{"metrics.source", "prometheus"}
	for name, test := range map[string]struct {
		before string
		edits  []edit
		after  string
		err    string
	}{
		"no file":             {"", []edit{endpoint, source}, "endpoint: https://{name}.fn.example.com\nmetrics:\n  source: prometheus\n", ""},
		"comments only":       {"# a comment\n#endpoint: x\n", []edit{endpoint}, "# a comment\n#endpoint: x\nendpoint: https://{name}.fn.example.com\n", ""},
		"no end of line":      {"# a comment", []edit{endpoint}, "# a comment\nendpoint: https://{name}.fn.example.com\n", ""},
		"a key changed":       {"endpoint: http://{name}.localhost:8080 # mine\n# after\n", []edit{endpoint}, "endpoint: https://{name}.fn.example.com\n# after\n", ""},
		"a key below another": {"metrics:\n    # where\n    url: http://127.0.0.1:9090\nstandby:\n  memory: 10%\n", []edit{source}, "metrics:\n    # where\n    source: prometheus\n    url: http://127.0.0.1:9090\nstandby:\n  memory: 10%\n", ""},
		"an empty parent":     {"metrics:\nstandby: {memory: 10%}\n", []edit{source}, "metrics:\n  source: prometheus\nstandby: {memory: 10%}\n", ""},
		"taken away":          {"endpoint: https://{name}.fn.example.com\nmetrics:\n  source: prometheus\n", []edit{{"endpoint", ""}}, "metrics:\n  source: prometheus\n", ""},
		"taken away, absent":  {"metrics:\n  source: prometheus\n", []edit{{"endpoint", ""}}, "metrics:\n  source: prometheus\n", ""},
		"a value to quote":    {"", []edit{{"metrics.url", "http://x/#y"}}, "", "must"},
		"in flow":             {"metrics: {source: gateway}\n", []edit{source}, "", "line 1: metrics.source cannot be changed there"},
		"wrong before":        {"nonsense: 1\n", []edit{endpoint}, "", "nonsense"},
		"wrong after":         {"", []edit{{"endpoint", "https://fn.example.com"}}, "", "must have {name} once"},
	} {
		t.Run(name, func(t *testing.T) {
			paths := platform.Paths{Root: t.TempDir()}
			if err := os.MkdirAll(filepath.Dir(paths.Settings()), 0o755); err != nil {
				t.Fatal(err)
			}
			if name != "no file" {
				if err := os.WriteFile(paths.Settings(), []byte(test.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := editSettings(paths, test.edits...)
			got, _ := os.ReadFile(paths.Settings())
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) || string(got) != test.before {
					t.Errorf("got %v, and %q", err, got)
				}
				return
			}
			if err != nil || string(got) != test.after {
				t.Errorf("%v:\n%s", err, got)
			}
		})
	}
}
