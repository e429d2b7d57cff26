package units_test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

var update = flag.Bool("update", false, "write the golden units anew")

// golden are the revisions whose units are kept in testdata/units and verified by systemd-analyze on real machines.
func golden(t *testing.T) map[string]platform.Revision {
	t.Helper()
	revision := func(name string, number int, change func(*platform.Revision)) platform.Revision {
		rev := platform.Revision{ID: platform.RevisionID{Function: name, Number: number}, Config: platform.DefaultConfig()}
		change(&rev)
		return rev
	}
	return map[string]platform.Revision{
		"asgi": revision("ping", 1, func(r *platform.Revision) {
			r.App, r.Runtime = "main:app", platform.RuntimeUvicorn
			r.Command = []string{"/usr/bin/python3", "-m", "uvicorn", "main:app", "--fd", "3", "--forwarded-allow-ips", "*"}
			r.Poised = true
		}),
		"executable": revision("my-app", 42, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"bin/server with spaces", "100%", "$HOME", "a\"b\\c", "line\nbreak", ";", ""}
			r.Config.Instance, _ = platform.TierByName("C1")
			r.Config.DiskSize = 0
		}),
		"secrets": revision("vault", 1, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"./server $1", "$HOME"}
			r.Poised = true
			r.Secrets = &platform.Secrets{Names: []string{"DB_PASSWORD", "KEY"}, Encrypted: true}
		}),
		"port": revision("web", 7, func(r *platform.Revision) {
			r.App, r.Runtime = "./serve", platform.RuntimePort
			r.Command = []string{"serve $100%", "--port", "$PORT", "--", "%n"}
			r.Poised = true
		}),
		"venv": revision("data", 3, func(r *platform.Revision) {
			r.App, r.Runtime = "main:app", platform.RuntimeGunicorn
			r.Command = []string{"/var/lib/fnctl/functions/data/venvs/0123456789abcdef/bin/python", "-m", "gunicorn", "main:app"}
			r.Size = 2 << 30
		}),
		"strict": revision("vault", 7, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"server"}
			r.Config.Isolation, r.Config.Network, r.Config.ExecutableMemory = platform.IsolationStrict, platform.NetworkNone, false
		}),
		"device": revision("camera", 1, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"server"}
			r.Config.Isolation = platform.IsolationStrict
			r.Config.Devices, r.DeviceGroups = []string{"/dev/dri/card0", "/dev/video0"}, []string{"video"}
		}),
		"paths": revision("media", 1, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"server"}
			r.Config.ReadOnlyPaths = []string{"/home/media/models", "/srv/pictures"}
		}),
		"internet": revision("fetch", 1, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"server"}
			r.Config.Network, r.Resolvers = platform.NetworkInternet, []string{"10.0.0.2", "fd00::53"}
		}),
		"standby": revision("my-app", 3, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"server"}
			r.Config.Autoscale.Standby = 1
		}),
		"no-standby": revision("ping", 2, func(r *platform.Revision) {
			r.App, r.Runtime = "main:app", platform.RuntimeUvicorn
			r.Command = []string{"/usr/bin/python3", "-m", "uvicorn", "main:app", "--fd", "3"}
			r.Config.Autoscale.Standby = 0
		}),
		"gpu": revision("model", 1, func(r *platform.Revision) {
			r.App, r.Runtime = "./server", platform.RuntimeSocket
			r.Command = []string{"server"}
			r.Config.Isolation = platform.IsolationStrict
			r.Config.Instance, _ = platform.TierByName("G1")
			r.TierDevices, r.DeviceGroups = []string{"/dev/kfd", "/dev/dri/renderD128"}, []string{"render"}
		}),
	}
}

func TestGoldenUnits(t *testing.T) {
	for name, rev := range golden(t) {
		t.Run(name, func(t *testing.T) {
			files, err := units.Files(platform.DefaultPaths(), rev)
			if err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join("..", "testdata", "units", name)
			for _, file := range files {
				path := filepath.Join(dir, file.Name)
				if *update {
					if err := os.MkdirAll(dir, 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(path, []byte(file.Text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if got := file.Text; got != string(want) {
					t.Errorf("%s differs from the golden file (go test ./units -update writes it):\n%s", file.Name, got)
				}
			}
		})
	}
}

func TestFilesRefuse(t *testing.T) {
	for name, command := range map[string][]string{
		"no command":   nil,
		"empty":        {""},
		"NUL":          {"/bin/a", "x\x00y"},
		"not UTF-8":    {"/bin/a", "\xff"},
		"NUL program":  {"/bin/\x00"},
		"empty, args":  {"", "x"},
		"bad relative": {"a\x00"},
	} {
		rev := platform.Revision{ID: platform.RevisionID{Function: "f", Number: 1}, Command: command, Config: platform.DefaultConfig()}
		if _, err := units.Files(platform.DefaultPaths(), rev); err == nil {
			t.Errorf("%s: command %q was accepted", name, command)
		}
	}
}

// FuzzCommand: whatever the arguments, the service has the same directives, and one line each.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{"x", "a b", "%n", "$X", "\n[Service]\nUser=root", "\\", "'", "\"", ";", "\x7f", "é", "\t"} {
		f.Add("server", seed)
		f.Add(seed, "x")
	}
	rev := platform.Revision{ID: platform.RevisionID{Function: "f", Number: 1}, Command: []string{"/bin/x"}, Config: platform.DefaultConfig(), Poised: true}
	plain := directives(f, rev)
	f.Fuzz(func(t *testing.T, program, arg string) {
		rev.Command = []string{program, arg}
		for _, runtime := range []platform.Runtime{platform.RuntimeSocket, platform.RuntimePort} {
			rev.Runtime = runtime
			files, err := units.Files(platform.DefaultPaths(), rev)
			if err != nil {
				return
			}
			got := names(files[1].Text)
			if strings.Join(got, " ") != strings.Join(plain, " ") {
				t.Errorf("command %q changes the directives:\n%s", rev.Command, files[1].Text)
			}
		}
	})
}

func directives(tb testing.TB, rev platform.Revision) []string {
	files, err := units.Files(platform.DefaultPaths(), rev)
	if err != nil {
		tb.Fatal(err)
	}
	return names(files[1].Text)
}

func names(text string) []string {
	var found []string
	for line := range strings.SplitSeq(text, "\n") {
		if name, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			found = append(found, name)
		}
	}
	return found
}

// Whoever stops an instance that may be frozen thaws it before, with the file by its name on disk; nobody else has such a line.
func TestStandbyIsThawedBeforeStop(t *testing.T) {
	some := platform.InstanceID{Revision: platform.RevisionID{Function: "my-app", Number: 3}, Index: 12}
	frozen := platform.InstanceCgroup(platform.DefaultPaths(), platform.SliceName("my-app"), some).Sleeper().FreezeFile()
	for name, rev := range golden(t) {
		files, err := units.Files(platform.DefaultPaths(), rev)
		if err != nil {
			t.Fatal(err)
		}
		service := files[1].Text
		if has, may := strings.Contains(service, "\nDelegate=\n"), rev.Config.Autoscale.Standby > 0; has != may {
			t.Errorf("%s: delegated: %v", name, has)
		}
		if n := strings.Count(service, "\nProtectControlGroups=yes\n"); n > 1 || n == 0 && rev.Config.Autoscale.Standby > 0 || n == 1 && name == "no-standby" {
			t.Errorf("%s: the control groups are made read-only %d times", name, n)
		}
		_, stop, found := strings.Cut(service, "\nExecStop=")
		if found != (rev.Config.Autoscale.Standby > 0) {
			t.Errorf("%s: ExecStop=: %v", name, found)
		}
		if name != "standby" {
			continue
		}
		stop, _, _ = strings.Cut(stop, "\n")
		argument := stop[strings.LastIndex(stop, " ")+1:]
		// As systemd reads it: specifiers, quotes, escapes, variables.
		got, err := strconv.Unquote(strings.ReplaceAll(strings.ReplaceAll(argument, "%i", "12"), "%%", "%"))
		if err != nil || strings.ReplaceAll(got, "$$", "$") != frozen {
			t.Errorf("%s: systemd reads %s, %v; want %s", argument, got, err, frozen)
		}
	}
}

func TestSliceName(t *testing.T) {
	if got, want := platform.SliceName("my-app"), `fn-my\x2dapp.slice`; got != want {
		t.Errorf("got %s, want %s: a hyphen would nest the slice", got, want)
	}
}

// A program's name can neither leave its line nor be more than a name.
func TestIdentifier(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/bin/python3":             "python3",
		"bin/server with spaces":       "server_with_spaces",
		"a\nExecStartPre=+/bin/evil":   "evil",
		"evil\nUser=root":              "evil_User=root",
		"100%n":                        "100_n",
		"\x1b[31mserver":               "__31mserver",
		"sérvér":                       "s_rv_r",
		strings.Repeat("a", 300):       strings.Repeat("a", 64),
		"x/" + strings.Repeat("é", 99): strings.Repeat("_", 64),
	} {
		rev := platform.Revision{ID: platform.RevisionID{Function: "ping", Number: 1}, Config: platform.DefaultConfig(), Command: []string{program}, Poised: true}
		files, err := units.Files(platform.DefaultPaths(), rev)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(files[1].Text, "\nSyslogIdentifier="+want+"\n") {
			t.Errorf("%q: want %q in\n%s", program, want, files[1].Text)
		}
	}
}
