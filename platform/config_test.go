package platform_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

var update = flag.Bool("update", false, "write what the code makes into testdata and docs")

// configFixtures returns the folders of testdata/config that have a file.
func configFixtures(t *testing.T, with string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/config/*/" + with)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("no testdata/config/*/%s", with)
	}
	for i, file := range files {
		files[i] = filepath.Dir(file)
	}
	return files
}

func readFixture(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// compareFixture compares with a file, or writes it with -update.
func compareFixture(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(readFixture(t, path)); got != want {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func TestParseConfigAccepts(t *testing.T) {
	for _, folder := range configFixtures(t, "want.json") {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			config, err := platform.ParseConfig("jcloud.yml", readFixture(t, folder+"/jcloud.yml"))
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := json.MarshalIndent(config, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compareFixture(t, folder+"/want.json", string(encoded)+"\n")

			var decoded platform.Config
			if err := json.Unmarshal(encoded, &decoded); err != nil {
				t.Fatal(err)
			}
			if got, want := normal(decoded), normal(config); !reflect.DeepEqual(got, want) {
				t.Errorf("from JSON: got %+v, want %+v", got, want)
			}
		})
	}
}

// normal makes empty collections nil, which JSON doesn't tell apart.
func normal(c platform.Config) platform.Config {
	if len(c.Env) == 0 {
		c.Env = nil
	}
	if len(c.Labels) == 0 {
		c.Labels = nil
	}
	return c
}

func TestParseConfigRefuses(t *testing.T) {
	for _, folder := range configFixtures(t, "want.err") {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			config, err := platform.ParseConfig("jcloud.yml", readFixture(t, folder+"/jcloud.yml"))
			if err == nil {
				t.Fatal("it is accepted")
			}
			if !reflect.DeepEqual(config, platform.Config{}) {
				t.Errorf("got the configuration %+v beside the error", config)
			}
			compareFixture(t, folder+"/want.err", err.Error()+"\n")
		})
	}
}

func TestParseConfigTooLarge(t *testing.T) {
	start := time.Now()
	_, err := platform.ParseConfig("jcloud.yml", []byte(strings.Repeat("a: [1]\n", 10<<20/7)))
	if got, want := errorText(err), "jcloud.yml:1:1: the file is larger than 1 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	took := time.Since(start)
	// It is not parsed: that takes longer of the largest file that is.
	start = time.Now()
	platform.ParseConfig("jcloud.yml", []byte(strings.Repeat("a: [1]\n", 1<<20/7)))
	if parsed := time.Since(start); took >= parsed {
		t.Errorf("took %v, parsing takes %v", took, parsed)
	}
}

func TestParseConfigManyErrors(t *testing.T) {
	_, err := platform.ParseConfig("jcloud.yml", []byte(strings.Repeat("a: 1\n", 1000)))
	lines := strings.Split(errorText(err), "\n")
	if got, want := len(lines), 101; got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
	if got, want := lines[len(lines)-1], "jcloud.yml:101:1: more than 100 errors, the rest is not shown"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConfigErrorFields(t *testing.T) {
	_, err := platform.ParseConfig("my.yml", []byte("autoscale:\n  min: x\n"))
	var got *keys.Error
	if !errors.As(err, &got) {
		t.Fatalf("%v is no keys.Error", err)
	}
	want := keys.Error{File: "my.yml", Line: 2, Column: 3, Key: "autoscale.min", Problem: `must be an integer of at least 0, got "x"`}
	if *got != want {
		t.Errorf("got %+v, want %+v", *got, want)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestDefaultConfig(t *testing.T) {
	c3, _ := platform.TierByName("C3")
	want := platform.Config{
		Instance: c3, Timeouts: platform.Timeouts{
			Timeout: platform.Seconds(120), LivenessTimeout: platform.Seconds(10), DrainGrace: platform.Seconds(30),
		}, DiskSize: 1e9, Workers: 1, Expose: true,
		SystemPackages: true,
		Isolation:      platform.IsolationDefault, Network: platform.NetworkHost, ExecutableMemory: true,
		Protocol:    platform.HTTP1,
		Healthcheck: platform.Healthcheck{Timeout: platform.Seconds(120)}, StartTimeout: platform.Seconds(120),
		StopTimeout: platform.Seconds(20), BackgroundTimeout: platform.Seconds(900),
		Autoscale: platform.Autoscale{
			Min: 1, Max: 10, Standby: keys.Unbounded, Metric: platform.MetricCPU, Target: 70,
			Metrics:      []platform.MetricTarget{{Metric: platform.MetricCPU, Target: 70}},
			StableWindow: platform.Seconds(120), ScaleDownDelay: platform.Seconds(30), ScaleToZeroAfter: platform.Seconds(360),
		},
	}
	if got := platform.DefaultConfig(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// The limits of a start are each other's default, and no short timeout makes them short.
func TestStartTimeouts(t *testing.T) {
	for text, want := range map[string]struct {
		start, health float64
		err           string
	}{
		"":                           {start: 120, health: 120},
		"timeout: 3":                 {start: 30, health: 30},
		"timeout: 2h":                {start: 3600, health: 3600},
		"start_timeout: 5m":          {start: 300, health: 300},
		"start_timeout: 10":          {start: 10, health: 120},
		"healthcheck: {timeout: 3m}": {start: 180, health: 180},
		"start_timeout: 1m\nhealthcheck: {timeout: 3m}": {start: 60, health: 180},
		"start_timeout: 3m\nhealthcheck: {timeout: 1m}": {err: "f:1:1: start_timeout: must be at most healthcheck.timeout, which is 60s, got 180s: raise healthcheck.timeout, or lower this"},
		"start_timeout: 0": {err: "f:1:1: start_timeout: must be"},
	} {
		config, err := platform.ParseConfig("f", []byte(text))
		if got := errorText(err); !strings.HasPrefix(got, want.err) || (want.err == "") != (got == "") {
			t.Errorf("%q: got error %q, want %q", text, got, want.err)
		}
		if err == nil && (config.StartTimeout != platform.Seconds(want.start) || config.Healthcheck.Timeout != platform.Seconds(want.health)) {
			t.Errorf("%q: a start may take %v, until it is healthy %v", text, config.StartTimeout, config.Healthcheck.Timeout)
		}
	}
}

// Who asks every five minutes finds an instance, unless the configuration says how long a window is.
func TestScaleToZeroAfter(t *testing.T) {
	for text, want := range map[string]float64{
		"": 360, "timeout: 3": 360, "timeout: 20m": 1200, "autoscale: {stable_window: 6}": 6,
		"timeout: 3\nautoscale: {scale_to_zero_after: 10}": 10,
	} {
		config, err := platform.ParseConfig("", []byte(text))
		if err != nil || config.Autoscale.ScaleToZeroAfter != platform.Seconds(want) {
			t.Errorf("%q: got %v, %v, want %v s", text, config.Autoscale.ScaleToZeroAfter, err, want)
		}
	}
}

// With a limit of requests for each instance, those that wait ask for instances, unless a metric does it already.
func TestScaledBy(t *testing.T) {
	for text, want := range map[string]string{
		"":               "cpu 70",
		"concurrency: 4": "cpu 70, concurrency 4",
		"concurrency: 1\nautoscale: {metric: rps, target: 10}":        "rps 10, concurrency 1",
		"concurrency: 4\nautoscale: {metric: concurrency}":            "concurrency 100, concurrency 4",
		"concurrency: 4\nautoscale: {metric: concurrency, target: 3}": "concurrency 3",
	} {
		config, err := platform.ParseConfig("", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range config.ScaledBy() {
			got = append(got, fmt.Sprintf("%s %v", m.Metric, m.Target))
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestConfigDecodesUnknownTier(t *testing.T) {
	var config platform.Config
	if err := json.Unmarshal([]byte(`{"instance":"C9"}`), &config); !strings.Contains(errorText(err), `unknown tier "C9"`) {
		t.Errorf("got %v", err)
	}
	if err := json.Unmarshal([]byte(`{"timeout":"soon"}`), &config); err == nil {
		t.Error("a timeout of soon is accepted")
	}
}

// A revision that was deployed before there was more than one metric says less.
func TestConfigDecodesOldRevision(t *testing.T) {
	var config platform.Config
	old := `{"autoscale":{"min":0,"max":3,"metric":"rps","target":5,"stable_window":"20s","scale_down_delay":"30s"}}`
	if err := json.Unmarshal([]byte(old), &config); err != nil {
		t.Fatal(err)
	}
	want := platform.Autoscale{
		Max: 3, Metric: platform.MetricRPS, Target: 5, Metrics: []platform.MetricTarget{{Metric: platform.MetricRPS, Target: 5}},
		StableWindow: platform.Seconds(20), ScaleDownDelay: platform.Seconds(30), ScaleToZeroAfter: platform.Seconds(20),
	}
	if got := config.Autoscale; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if config.LivenessTimeout != platform.Seconds(10) || config.DrainGrace != platform.Seconds(30) || config.Protocol != platform.HTTP1 {
		t.Errorf("got %+v", config)
	}
}

func TestCredits(t *testing.T) {
	for _, test := range []struct {
		name, file    string
		serving       time.Duration
		base, credits float64
	}{
		{"default, idle", "", 0, 10.104, 0},
		{"C4, min 0, 2G, busy 10 minutes", "{instance: C4, autoscale: {min: 0}, disk_size: 2G}", 10 * time.Minute, 0.208, 3.333},
		{"C3, min 1, 1G, a WebSocket for 20 minutes", "{instance: C3, autoscale: {min: 1}, disk_size: 1G}", 20 * time.Minute, 10.104, 3.333},
		{"no disk, serverless", "{autoscale: {min: 0}, disk_size: 0}", 0, 0, 0},
		{"three of them, 1Gi", "{instance: G1, autoscale: {min: 3}, disk_size: 1Gi}", time.Hour, 300 + 0.104*1.073741824, 100},
	} {
		config, err := platform.ParseConfig("jcloud.yml", []byte(test.file))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := config.BaseCreditsPerHour(), test.base; math.Abs(got-want) > 0.0005 {
			t.Errorf("%s: base credits: got %v, want %v", test.name, got, want)
		}
		if got, want := config.ServingCredits(test.serving), test.credits; math.Abs(got-want) > 0.0005 {
			t.Errorf("%s: serving credits: got %v, want %v", test.name, got, want)
		}
	}
}

func TestParseApp(t *testing.T) {
	for app, want := range map[string][]string{
		"main:app": {"main", "app"}, "pkg.sub.main:api.app": {"pkg.sub.main", "api.app"}, "_m1:A_": {"_m1", "A_"}, "módulo:app": {"módulo", "app"},
		"": nil, "main": nil, "main:": nil, ":app": nil, "main:app:x": nil, "1main:app": nil, "main:1app": nil, "main-x:app": nil,
		"a..b:app": nil, ".a:app": nil, "a.:app": nil, "a b:app": nil, "main:app\n": nil, "../main:app": nil, "main:app()": {"main", "app"}, "main:app()()": nil, "main:app(1)": nil, "main:()": nil, "mäin :app": nil,
	} {
		module, attr, ok := platform.ParseApp(app)
		if ok != (want != nil) || ok && (module != want[0] || attr != want[1]) || !ok && module+attr != "" {
			t.Errorf("%q: got %q, %q, %v, want %q", app, module, attr, ok, want)
		}
	}
}

func TestLoadConfig(t *testing.T) {
	for _, test := range []struct {
		name, explicit string
		files          map[string]string
		path, err      string
		timeout        platform.Duration
	}{
		{name: "none", timeout: platform.Seconds(120)},
		{name: "yml", files: map[string]string{"jcloud.yml": "timeout: 1"}, path: "jcloud.yml", timeout: platform.Seconds(1)},
		{name: "yaml", files: map[string]string{"jcloud.yaml": "timeout: 2"}, path: "jcloud.yaml", timeout: platform.Seconds(2)},
		{name: "both", files: map[string]string{"jcloud.yml": "timeout: 1", "jcloud.yaml": "timeout: 2"}, path: "jcloud.yml", timeout: platform.Seconds(1)},
		{name: "explicit", explicit: "my.yml", files: map[string]string{"jcloud.yml": "timeout: 1", "my.yml": "timeout: 3"}, path: "my.yml", timeout: platform.Seconds(3)},
		{name: "explicit is missing", explicit: "my.yml", files: map[string]string{"jcloud.yml": "timeout: 1"}, err: "read configuration: open DIR/my.yml: no such file or directory"},
		{name: "invalid", files: map[string]string{"jcloud.yml": "timeout: 0", "jcloud.yaml": ""}, path: "jcloud.yml", err: "DIR/jcloud.yml:1:1: timeout: must be"},
		{name: "too large", files: map[string]string{"jcloud.yml": strings.Repeat("#", 10<<20)}, path: "jcloud.yml", err: "DIR/jcloud.yml:1:1: the file is larger than 1 MiB"},
		{name: "a directory", files: map[string]string{"jcloud.yml/x": ""}, err: "read configuration: read DIR/jcloud.yml: is a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range test.files {
				writeFixture(t, filepath.Join(dir, name), text)
			}
			explicit := test.explicit
			if explicit != "" {
				explicit = filepath.Join(dir, explicit)
			}
			config, path, err := platform.LoadConfig(dir, explicit)
			if got, want := strings.ReplaceAll(errorText(err), dir, "DIR"), test.err; !strings.HasPrefix(got, want) || (want == "") != (got == "") {
				t.Errorf("got error %q, want %q", got, want)
			}
			if got, want := strings.TrimPrefix(strings.TrimPrefix(path, dir), "/"), test.path; got != want {
				t.Errorf("got path %q, want %q", got, want)
			}
			if got, want := config.Timeout, test.timeout; got != want {
				t.Errorf("got timeout %v, want %v", got, want)
			}
		})
	}
}

func TestLoadConfigDanglingLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("nowhere", filepath.Join(dir, "jcloud.yml")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := platform.LoadConfig(dir, ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want one that says that the file doesn't exist", err)
	}
}

// TestLoadConfigEndless fails by never ending.
func TestLoadConfigEndless(t *testing.T) {
	_, _, err := platform.LoadConfig(".", "/dev/zero")
	if got, want := errorText(err), "/dev/zero:1:1: the file is larger than 1 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func writeFixture(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTiers(t *testing.T) {
	for name, want := range map[string]struct {
		quota   int
		memory  int64
		credits float64
	}{
		"C1": {10, 200e6, 1}, "C2": {50, 1e9, 5}, "C3": {100, 2e9, 10}, "C4": {200, 4e9, 20}, "C5": {400, 8e9, 40}, "C6": {800, 16e9, 80},
		"C7": {1600, 32e9, 160}, "C8": {3200, 64e9, 320}, "G1": {700, 14e9, 100}, "G2": {700, 14e9, 125}, "G3": {1200, 24e9, 250}, "G4": {2800, 56e9, 500},
	} {
		tier, found := platform.TierByName(name)
		if !found || tier.CPUQuotaPercent() != want.quota || tier.MemoryBytes() != want.memory || tier.CreditsPerHour != want.credits {
			t.Errorf("%s: got %+v, want %+v", name, tier, want)
		}
	}
	if got, want := len(platform.Tiers()), 12; got != want {
		t.Errorf("got %d tiers, want %d", got, want)
	}
	platform.Tiers()[0].Name = "changed"
	if _, found := platform.TierByName("C1"); !found {
		t.Error("a caller can change the tiers")
	}
}
