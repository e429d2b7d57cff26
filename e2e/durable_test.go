//go:build e2e

package e2e

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a route reaches is on the disk before the route is, and so is the route when its command ends: no test of a power
// loss on a machine whose kernel goes on can show that, but the order of the system calls does.
func testDurable(t *testing.T, m *testMachine) {
	m.CopyIn(t, function("ping"), "/srv/python")
	m.WriteFile(t, "/srv/python/requirements.txt", "")
	m.WriteFile(t, "/srv/crash/static/index.html", "nobody writes to its directory again")
	m.MustRun(t, "rm", "-r", "/etc/systemd/system/fnctl.target.wants") // as before the very first deploy
	for _, command := range []string{
		"fnctl deploy --force", "fnctl remove crash; fault -log /run/changes fnctl deploy", "fnctl deploy --force",
		"fnctl secret crash set TOKEN <<<hidden; fault -log /run/changes fnctl env crash set A=1",
		"fnctl rollback crash", "fnctl traffic crash $LAST=50 $BEFORE=50", "fnctl pause crash", "fnctl resume crash",
		"fnctl deploy main:app --app-dir /srv/python",
	} {
		t.Run(command, func(t *testing.T) {
			changes, out := m.harm(t, "", command)
			if out.Code != 0 {
				t.Fatalf("exit code %d\n%s", out.Code, out.Stderr)
			}
			checkDurable(t, changes)
		})
	}
	m.MustRun(t, "fnctl", "remove", "python", "--purge")
}

// disk knows of what has been changed whether it is on the disk yet.
type disk struct {
	data  map[string]bool // files whose content is not
	names map[string]bool // directories whose entries are not
	tools bool            // another program may have written anything
}

// checkDurable goes through the changes of a command that has switched a route.
func checkDurable(t *testing.T, changes string) {
	t.Helper()
	d := disk{data: map[string]bool{}, names: map[string]bool{}}
	switched := 0
	for line := range strings.Lines(changes) {
		fields := strings.Fields(line)
		if fields[0] == "rename" && filepath.Base(fields[2]) == "route.json" {
			switched++
			// The temporary name of the route itself may be lost.
			delete(d.names, filepath.Dir(fields[2]))
			d.check(t, line)
		}
		d.change(t, fields)
	}
	d.check(t, "the end")
	if switched != 1 {
		t.Errorf("the route was switched %d times:\n%s", switched, changes)
	}
}

func (d *disk) change(t *testing.T, fields []string) {
	t.Helper()
	path := ""
	if len(fields) > 1 {
		path = fields[1]
	}
	if strings.HasPrefix(path, "/run/") || strings.HasPrefix(path, "/sys/") {
		return // it is gone after a boot anyway
	}
	switch fields[0] {
	case "create":
		d.data[path], d.names[filepath.Dir(path)] = true, true
	case "write", "resize", "chmod", "utimes", "chown":
		d.data[path] = true
	case "mkdir", "symlink", "link":
		d.names[filepath.Dir(fields[len(fields)-1])] = true
	case "rename":
		if d.data[path] {
			t.Errorf("not on the disk when it gets its name: %s", path)
		}
		d.moved(path, fields[2])
	case "fsync":
		delete(d.data, path)
		delete(d.names, path)
	case "syncfs":
		d.data, d.names, d.tools = map[string]bool{}, map[string]bool{}, false
	case "child":
		d.tools = true
	}
}

// moved takes over what is known of a file, or of a directory with all that is in it.
func (d *disk) moved(from, to string) {
	for _, set := range []map[string]bool{d.data, d.names} {
		for path := range maps.Clone(set) {
			if path == from || strings.HasPrefix(path, from+"/") {
				delete(set, path)
				set[to+strings.TrimPrefix(path, from)] = true
			}
		}
	}
	d.names[filepath.Dir(from)], d.names[filepath.Dir(to)] = true, true
}

func (d *disk) check(t *testing.T, when string) {
	t.Helper()
	if len(d.data)+len(d.names) > 0 || d.tools {
		t.Errorf("at %s\nnot on the disk: %v, names in %v; of other programs: %v", when,
			slices.Sorted(maps.Keys(d.data)), slices.Sorted(maps.Keys(d.names)), d.tools)
	}
}
