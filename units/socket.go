package units

import (
	"fmt"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

// largeApp is from which size on, in bytes, the copies of apps are made one after the other: together they take as long, and
// none of them is there until nearly all are, as after a boot.
const largeApp = 64 << 20

func socket(paths platform.Paths, rev platform.Revision) string {
	id := rev.ID
	var w writer
	w.comment(fmt.Sprintf(header, id))
	w.section("Unit")
	w.set("Description", fmt.Sprintf("fnctl function %s, revision %05d, socket of instance %%i", id.Function, id.Number))
	w.comment("Nothing may fail the socket for good: a request must always find it.")
	w.set("StartLimitIntervalSec", "0")
	w.comment("Sockets are ordered before basic.target by default: then the boot would wait until every function is armed.")
	w.all("DefaultDependencies=no", "Requires=sysinit.target", "After=basic.target", "Conflicts=shutdown.target", "Before=shutdown.target")

	w.section("Socket")
	w.set("ListenStream", filepath.Join(paths.Instances(), id.String()+"@%i.sock"))
	w.comment("Only the gateway connects.")
	w.all("SocketMode=0660", "SocketGroup=fnctl-gateway", "DirectoryMode=0755")
	w.comment("A path that is gone is what tells the gateway that the instance is draining.")
	w.set("RemoveOnStop", "yes")
	w.comment("The service's pause after each stop bounds its starts, unless systemd cannot even run that: then the socket fails,\n" +
		"and the activator makes it listen again after a while.")
	w.all("TriggerLimitIntervalSec=10s", "TriggerLimitBurst=20")
	w.set("FileDescriptorName", "http")
	w.comment("The app may write to its directory, so each instance gets its own copy: made here, when it is armed,\nbecause then no request is waiting. One process does it: each one more would cost PID 1 milliseconds.")
	work := filepath.Join(paths.Root, "var/cache/private", platform.WorkdirName(id.String()+"@%i"))
	copying := `cp -a --reflink=auto "$$1" "$$0"`
	if rev.Size >= largeApp {
		w.comment("A large app waits for other large ones: each copy has the disk to itself.")
		copying = "flock " + filepath.Join(paths.Root, "var/cache/private", platform.WorkdirName("")) + " " + copying
	}
	w.comment("A large app takes longer than systemd gives a start by default.")
	w.set("TimeoutSec", keys.FormatDuration(platform.CopyTimeout))
	w.set("ExecStartPre", fmt.Sprintf(`/bin/sh -c 'rm -rf "$$0" && exec %s' %s %s`, copying, work, paths.Snapshot(id)))
	return w.String()
}
