package platform_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

// breaks are the line breaks of YAML.
var breaks = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")

// checkConfigErrors fails if an error isn't one printable line that leads into the file.
func checkConfigErrors(t *testing.T, err error, data []byte) {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("%v doesn't join errors", err)
	}
	lines := len(breaks.FindAllIndex(data, -1)) + 1
	last := 0
	for _, err := range joined.Unwrap() {
		var e *keys.Error
		if !errors.As(err, &e) {
			t.Fatalf("%v is no keys.Error", err)
		}
		if e.Line < 1 || e.Line > lines || e.Column < 0 || e.Line < last {
			t.Errorf("%v: after line %d of %d", e, last, lines)
		}
		if strings.ContainsAny(e.Error(), "\n\r\x00\x1b") {
			t.Errorf("%q has control characters", e.Error())
		}
		last = e.Line
	}
}

func checkFast(t *testing.T, start time.Time) {
	t.Helper()
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzParseConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/config/*/jcloud.yml")
	if err != nil || len(files) == 0 {
		f.Fatal("no fixtures", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		defer checkFast(t, time.Now())
		config, err := platform.ParseConfig("jcloud.yml", data)
		if err != nil {
			checkConfigErrors(t, err, data)
			return
		}
		a := config.Autoscale
		if a.Min < 0 || a.Max < 1 || a.Min > a.Max || !(a.Target > 0) || a.StableWindow < platform.Seconds(6) || a.StableWindow > platform.Seconds(3600) ||
			len(a.Metrics) == 0 || a.Metrics[0].Metric != a.Metric || a.Metrics[0].Target != a.Target || a.ScaleToZeroAfter < 0 ||
			config.Timeout < platform.Seconds(1) || config.DiskSize < 0 || config.Workers < 1 || config.Instance.Name == "" {
			t.Errorf("got %+v", config)
		}
		if config.ResponseStartTimeout < 0 || config.ResponseStartTimeout > config.Timeout || config.IdleTimeout < 0 || config.IdleTimeout > config.Timeout ||
			config.LivenessTimeout < platform.Seconds(1) || config.DrainGrace < platform.Seconds(1) || config.Protocol == platform.H2C && config.App != "" {
			t.Errorf("got %+v", config)
		}
		if err := platform.RouteTo(platform.Revision{ID: shop, Config: config}).Check(); err != nil {
			t.Errorf("its route: %v", err)
		}
		encoded, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		var decoded platform.Config
		if err := json.Unmarshal(encoded, &decoded); err != nil {
			t.Fatal(err)
		}
		if got, want := normal(decoded), normal(config); !reflect.DeepEqual(got, want) {
			t.Errorf("from JSON: got %+v, want %+v", got, want)
		}
	})
}

func FuzzParseEnvFile(f *testing.F) {
	for _, seed := range []string{"A=1\n", "export A='b' # c\n", "A=\"\\n\\\"\\$\"\r\nB=$1", "A=\"x\ny\"\n\n=", "# x\nA = b", "A='"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		defer checkFast(t, time.Now())
		env, err := platform.ParseEnvFile(".env", data)
		if err != nil {
			checkConfigErrors(t, err, data)
			return
		}
		for name, value := range env {
			if err := platform.CheckEnvName(name); err != nil || strings.ContainsRune(value, 0) {
				t.Errorf("%q=%q: %v", name, value, err)
			}
			// In single quotes every value without one is itself.
			again, err := platform.ParseEnvFile(".env", []byte(name+"='"+value+"'"))
			if !strings.Contains(value, "'") && (err != nil || again[name] != value) {
				t.Errorf("%q: read again: %q, %v", value, again[name], err)
			}
		}
	})
}

// TestParseConfigFast reads the files that cost most, each a quarter of what is allowed.
func TestParseConfigFast(t *testing.T) {
	const limit = 256 << 10
	fill := func(s string) string { return strings.Repeat(s, limit/len(s)) }
	for name, text := range map[string]string{
		"keys":        fill("a: 1\n"),
		"env":         "env: {" + fill("a: 1, ") + "}",
		"long key":    fill("x") + ": 1",
		"flow":        fill("["),
		"open braces": fill("{a: "),
		"dashes":      fill("- "),
		"empty lists": "[" + fill("[],") + "]",
		"comments":    "[" + fill("1, #\n") + "]",
		"aliases":     "env:\n  A: &a x\n" + fill(" B: *a\n"),
		"documents":   fill("---\n"),
		"bad end":     fill("# comment\n") + "a: b: c",
		"bad start":   "a: b: c\n" + fill("# comment\n"),
		"bad bytes":   fill("x") + "\xff",
	} {
		t.Run(name, func(t *testing.T) {
			defer checkFast(t, time.Now())
			_, err := platform.ParseConfig("jcloud.yml", []byte(text))
			if err == nil {
				t.Fatal("it is accepted")
			}
			checkConfigErrors(t, err, []byte(text))
		})
	}
}
