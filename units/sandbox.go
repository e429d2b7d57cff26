package units

import (
	"fmt"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// docs/isolation.md says what each directive adds for a user without capabilities, and what it costs a cold start.

// userSandbox is a user that exists only while an instance runs, and what it sees of the machine. DynamicUser= implies most
// of it: it is written out so that it can be seen.
var userSandbox = []string{
	"DynamicUser=yes",
	"ProtectSystem=strict",
	// In the place of platform.HiddenDirs. TemporaryFileSystem= for the same does nothing: DynamicUser= makes them read-only, and of
	// two mounts at one place systemd drops that one.
	"ProtectHome=tmpfs",
	"PrivateTmp=yes",
	"PrivateMounts=yes",
	"PrivateUsers=yes",
	"NoNewPrivileges=yes",
	"RestrictSUIDSGID=yes",
	"RemoveIPC=yes",
	"PrivateIPC=yes",
	"CapabilityBoundingSet=",
	"UMask=0077",
}

// filterSandbox is checked by the kernel at each system call, and costs a start next to nothing.
var filterSandbox = []string{
	"RestrictNamespaces=yes",
	"RestrictRealtime=yes",
	"LockPersonality=yes",
	"KeyringMode=private",
	"SystemCallArchitectures=native",
	"SystemCallErrorNumber=EPERM",
}

// defaultFilter names what is forbidden, which is compiled in a fraction of the time of a list of what is allowed.
const defaultFilter = "~@clock @cpu-emulation @debug @keyring @module @mount @obsolete @raw-io @reboot @swap bpf io_uring_setup syslog"

// strictSandbox takes away what a user without capabilities can do little with, and costs more.
var strictSandbox = []string{
	"ProcSubset=pid",
	"ProtectControlGroups=yes",
	"ProtectHostname=yes",
	"ProtectKernelLogs=yes",
	"ProtectKernelModules=yes",
	"ProtectKernelTunables=yes",
}

// User is the name of the user of a function, who exists only while an instance runs.
func User(function string) string { return "fn-" + function }

func writeSandbox(w *writer, paths platform.Paths, rev platform.Revision) {
	strict := rev.Config.Isolation == platform.IsolationStrict
	w.comment("One user per function, which exists only while an instance runs. With an explicit name all instances share it,\n" +
		"so that the workspace keeps its owner. In a user namespace of its own it cannot leave its disk quota.")
	w.set("User", User(rev.ID.Function))
	w.all(userSandbox...)
	w.comment("What is forbidden is an error to the app, and does not end it.")
	w.all(filterSandbox...)
	if strict {
		w.all("SystemCallFilter=@system-service", "SystemCallFilter=~@keyring @privileged @resources io_uring_setup", "SystemCallFilter=@chown")
	} else {
		w.set("SystemCallFilter", defaultFilter)
	}
	w.comment("The processes of others are not to be seen.")
	w.set("ProtectProc", "invisible")
	w.comment("Of what is deployed it sees nothing but its own.")
	w.set("TemporaryFileSystem", paths.Functions()+":ro")
	if venv := rev.VenvDir(paths); venv != "" {
		w.set("BindReadOnlyPaths", venv)
	}
	if len(rev.Config.ReadOnlyPaths) > 0 {
		w.comment("read_only_paths:")
		w.set("BindReadOnlyPaths", strings.Join(rev.Config.ReadOnlyPaths, " "))
	}
	writeShared(w, rev.Config, strict)
	w.set("ProtectClock", "yes")
	switch {
	case strict:
		w.comment("isolation: strict")
		w.set("TemporaryFileSystem", "/srv:ro")
		w.all(strictSandbox...)
	case rev.Config.Autoscale.Standby > 0:
		w.comment("It can neither leave the control group in which it is frozen, nor make others.")
		w.set("ProtectControlGroups", "yes")
	}
	writeDevices(w, rev, strict)
	writeNetwork(w, rev)
	if !rev.Config.ExecutableMemory {
		w.comment("executable_memory: false")
		w.set("MemoryDenyWriteExecute", "yes")
	}
}

// writeShared takes away what everybody on the machine shares: memory with a name, and what there is in /run.
func writeShared(w *writer, config platform.Config, strict bool) {
	w.comment("Shared memory is the instance's own, and counts as its memory.")
	w.set("TemporaryFileSystem", fmt.Sprintf("/dev/shm:mode=1777,nodev,nosuid,size=%d", config.Instance.MemoryBytes()/2))
	if strict || config.Network == platform.NetworkNone {
		w.comment("Databases, the journal and others take connections in /run.")
		w.set("TemporaryFileSystem", "/run:ro")
		if config.Network != platform.NetworkNone {
			w.set("BindReadOnlyPaths", strings.Join(resolvers, " "))
		}
		return
	}
	w.comment("systemd tells about processes over D-Bus, and believes what it is notified of; journald believes fields. Locks are shared.")
	w.set("InaccessiblePaths", strings.Join(dangerous, " "))
}

var (
	// resolvers are where /etc/resolv.conf leads to: directories, since the files are replaced.
	resolvers = []string{"-/run/systemd/resolve", "-/run/NetworkManager", "-/run/resolvconf", "-/run/connman", "-/run/netconfig"}
	// dangerous is what is not hidden of /run otherwise, because databases of the machine are there. journald has 4,096 streams for all
	// services, and each is begun by connecting to stdout; an instance has its own.
	dangerous = []string{"-/run/dbus/system_bus_socket", "-/run/systemd/notify", "-/run/systemd/journal/socket", "-/run/systemd/journal/stdout", "-/run/lock"}
)

// writeDevices leaves an instance the devices that are none, such as /dev/null, and those that it asks for.
func writeDevices(w *writer, rev platform.Revision, strict bool) {
	w.set("DevicePolicy", "closed")
	if len(rev.Config.Devices)+len(rev.TierDevices) == 0 {
		if strict {
			w.set("PrivateDevices", "yes")
		}
		return
	}
	for _, devices := range []struct {
		why   string
		nodes []string
	}{{"devices:", rev.Config.Devices}, {"The GPUs of tier " + rev.Config.Instance.Name + ".", rev.TierDevices}} {
		if len(devices.nodes) > 0 {
			w.comment(devices.why)
		}
		for _, device := range devices.nodes {
			w.set("DeviceAllow", device+" rw")
		}
	}
	if len(rev.DeviceGroups) > 0 {
		w.set("SupplementaryGroups", strings.Join(rev.DeviceGroups, " "))
	}
}
