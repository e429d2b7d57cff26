package cli

import (
	"io"
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
