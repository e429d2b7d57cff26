package cli

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestIntersperse(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	for _, c := range []struct{ in, want string }{
		{"fnctl", "fnctl"},
		{"fnctl deploy", "fnctl deploy"},
		{"fnctl unknown a --b", "fnctl unknown a --b"},
		{"fnctl deploy main:app --name x", "fnctl deploy --name x main:app"},
		{"fnctl deploy main:app --name=x --dry-run", "fnctl deploy --name=x --dry-run main:app"},
		{"fnctl deploy --dry-run main:app --name x", "fnctl deploy --dry-run --name x main:app"},
		{"fnctl deploy -v main:app", "fnctl deploy -v main:app"},
		{"fnctl ls --name x -o json", "fnctl ls --name x -o json"},
		{"fnctl scale ping --min -1", "fnctl scale --min -1 ping"},
		{"fnctl invoke ping / -d - -X PUT", "fnctl invoke -d - -X PUT ping /"},
		{"fnctl invoke ping -- --name", "fnctl invoke ping -- --name"},
		{"fnctl invoke ping -", "fnctl invoke ping -"},
		{"fnctl deploy main:app --name", "fnctl deploy --name main:app"},
		{"fnctl deploy main:app --unknown x", "fnctl deploy --unknown main:app x"},
	} {
		if got := strings.Join(intersperse(app, strings.Fields(c.in)), " "); got != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1_500_000: "1.5 MB", 16 << 20: "16.8 MB", 2_000_000_000: "2.0 GB",
		5_000_000_000_000_000: "5000.0 TB",
	} {
		if got := byteSize(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	if got, want := plural(1, "file")+plural(0, "unit")+plural(2, "unit"), "1 file0 units2 units"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCompareNatural(t *testing.T) {
	names := []string{"ping-00001@10", "ping-00002@1", "ping-00001@2", "ping-00001@1"}
	slices.SortFunc(names, compareNatural)
	if got, want := strings.Join(names, " "), "ping-00001@1 ping-00001@2 ping-00002@1 ping-00001@10"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNearestCommand(t *testing.T) {
	commands := newApp(io.Discard, io.Discard).Commands
	for given, want := range map[string]string{"deplyo": "deploy", "stats": "status", "event": "events", "xyzzy": "", "": ""} {
		if got := nearestCommand(commands, given); got != want {
			t.Errorf("%s: got %q, want %q", given, got, want)
		}
	}
}

// Help is the same for all commands: a sentence without a full stop, and a usage that begins with the command.
func TestCommandsAreDescribed(t *testing.T) {
	for _, command := range newApp(io.Discard, io.Discard).Commands {
		if command.Usage == "" || strings.HasSuffix(command.Usage, ".") {
			t.Errorf("%s: usage %q", command.Name, command.Usage)
		}
		if text := command.UsageText + " "; !strings.HasPrefix(text, "fnctl "+command.Name+" ") {
			t.Errorf("%s: usage text %q", command.Name, command.UsageText)
		}
	}
}
