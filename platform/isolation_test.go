package platform_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestIsolationKeys(t *testing.T) {
	type keys struct {
		isolation platform.Isolation
		network   platform.Network
		memory    bool
		devices   string
	}
	for text, want := range map[string]keys{
		"":                  {"default", "host", true, ""},
		"isolation: strict": {"strict", "none", false, ""},
		"isolation: strict\nnetwork: host\nexecutable_memory: true": {"strict", "host", true, ""},
		"network: none\nexecutable_memory: false":                   {"default", "none", false, ""},
		"isolation: strict\nnetwork: internet":                      {"strict", "internet", false, ""},
		"devices: /dev/kvm":                                         {"default", "host", true, "/dev/kvm"},
		"devices: [/dev/dri/card0, /dev/snd/pcmC0D0p]":              {"default", "host", true, "/dev/dri/card0 /dev/snd/pcmC0D0p"},
	} {
		c, err := platform.ParseConfig("jcloud.yml", []byte(text))
		got := keys{c.Isolation, c.Network, c.ExecutableMemory, strings.Join(c.Devices, " ")}
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// A device lands in a unit file: it is the plain path of one, and nothing else.
func TestIsolationRefuses(t *testing.T) {
	for _, text := range []string{
		"isolation: loose", "network: intranet", "network: true", "executable_memory: 1",
		"devices: kvm", "devices: /dev", "devices: /dev/", "devices: /etc/passwd", "devices: /dev/../etc/passwd", "devices: /dev/./kvm",
		"devices: /dev//kvm", "devices: /dev/kvm/", `devices: "/dev/kvm rwm"`, `devices: "/dev/kvm\nUser=root"`, "devices: /dev/%n",
		"devices: [/dev/kvm, char-*]", "devices: {a: b}",
	} {
		if c, err := platform.ParseConfig("jcloud.yml", []byte(text)); err == nil {
			t.Errorf("%q was accepted: %v", text, c)
		}
	}
}

// A path that is opened lands in a unit file, and opens neither what the sandbox is made of nor what leads there.
func TestReadOnlyPathsKey(t *testing.T) {
	c, err := platform.ParseConfig("jcloud.yml", []byte("read_only_paths: [/home/media/models, /srv/a.b_c-d+e@f=g]"))
	if err != nil || strings.Join(c.ReadOnlyPaths, " ") != "/home/media/models /srv/a.b_c-d+e@f=g" {
		t.Errorf("got %q, %v", c.ReadOnlyPaths, err)
	}
	for _, text := range []string{
		"/", "media", "/home/", "/home/../etc", "/home//x", "'/home/a b'", `"/home/x\nUser=root"`, "/home/%h", "'/home/x:/etc'", "/home/$HOME", "'/home/\"x'",
		"/proc", "/proc/1", "/sys/fs", "/dev/null", "/run", "/run/fnctl/instances", "/etc", "/etc/shadow", "/etc/fnctl/fnctl.yml", "/var", "/var/lib",
		"/var/lib/fnctl/functions/other", "/var/lib/fnctl-data/other", "/var/lib/private/x", "/var/cache", "/var/cache/private", "/tmp", "/tmp/x", "/var/tmp",
	} {
		if c, err := platform.ParseConfig("jcloud.yml", []byte("read_only_paths: ["+text+"]")); err == nil {
			t.Errorf("%s was accepted: %q", text, c.ReadOnlyPaths)
		}
	}
}

func TestCheckReadOnlyPaths(t *testing.T) {
	dir := t.TempDir()
	open, closed, file := filepath.Join(dir, "open"), filepath.Join(dir, "closed"), filepath.Join(dir, "file")
	inside := filepath.Join(closed, "inside")
	for _, d := range []string{open, inside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Others may not enter the parent of what is made for a test.
	if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.WriteFile(file, nil, 0o644), os.Symlink("open", filepath.Join(dir, "link")), os.Chmod(closed, 0o750)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		open: "", file: "", filepath.Join(dir, "link"): "by a link", closed: "closed has the mode 0750", inside: "closed has the mode 0750", filepath.Join(dir, "none"): "no such file",
		"/dev/null": "neither a file nor a directory",
	} {
		err := platform.CheckReadOnlyPaths([]string{path})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

// A revision of a version without these keys keeps what it had.
func TestIsolationOfBefore(t *testing.T) {
	var c platform.Config
	if err := json.Unmarshal([]byte(`{"timeout":"120s","autoscale":{"stable_window":"60s","scale_down_delay":"0s"}}`), &c); err != nil {
		t.Fatal(err)
	}
	if c.Isolation != platform.IsolationDefault || c.Network != platform.NetworkHost || !c.ExecutableMemory {
		t.Errorf("got %s %s %t", c.Isolation, c.Network, c.ExecutableMemory)
	}
}

func TestDevices(t *testing.T) {
	if err := platform.CheckDevices([]string{"/dev/null"}); err != nil {
		t.Error(err)
	}
	for _, path := range []string{"/dev/no-such-device", "/etc/passwd"} {
		if platform.CheckDevices([]string{path}) == nil {
			t.Errorf("%s is a device", path)
		}
	}
	if got := platform.DeviceGroups([]string{"/dev/null", "/dev/no-such-device"}); !reflect.DeepEqual(got, []string(nil)) {
		t.Errorf("got the groups %q of a device that everybody may open", got)
	}
}
