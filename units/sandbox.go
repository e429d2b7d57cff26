package units

import (
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// docs/isolation.md says what each directive adds for a user without capabilities, and what it costs a cold start.

// userSandbox is a user that exists only while an instance runs, and what it sees of the machine. DynamicUser= implies most
// of it: it is written out so that it can be seen.
var userSandbox = []string{
	"DynamicUser=yes",
	"ProtectSystem=strict",
	"ProtectHome=tmpfs",
	"PrivateTmp=yes",
	"PrivateMounts=yes",
	"PrivateUsers=yes",
	"NoNewPrivileges=yes",
	"RestrictSUIDSGID=yes",
	"RemoveIPC=yes",
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
const defaultFilter = "~@clock @cpu-emulation @debug @keyring @module @mount @obsolete @raw-io @reboot @swap bpf io_uring_setup"

// strictSandbox takes away what a user without capabilities can do little with, and costs more.
var strictSandbox = []string{
	"ProcSubset=pid",
	"PrivateIPC=yes",
	"ProtectControlGroups=yes",
	"ProtectHostname=yes",
	"ProtectKernelLogs=yes",
	"ProtectKernelModules=yes",
	"ProtectKernelTunables=yes",
}

func writeSandbox(w *writer, rev platform.Revision) {
	strict := rev.Config.Isolation == platform.IsolationStrict
	w.comment("One user per function, which exists only while an instance runs. With an explicit name all instances share it,\n" +
		"so that the workspace keeps its owner. In a user namespace of its own it cannot leave its disk quota.")
	w.set("User", "fn-"+rev.ID.Function)
	w.all(userSandbox...)
	w.comment("What is forbidden is an error to the app, and does not end it.")
	w.all(filterSandbox...)
	if strict {
		w.all("SystemCallFilter=@system-service", "SystemCallFilter=~@keyring @privileged @resources io_uring_setup", "SystemCallFilter=@chown")
	} else {
		w.set("SystemCallFilter", defaultFilter)
	}
	w.comment("The processes of others are not to be seen, and systemd tells about them over D-Bus.")
	w.all("ProtectProc=invisible", "InaccessiblePaths=-/run/dbus/system_bus_socket")
	w.set("ProtectClock", "yes")
	if strict {
		w.comment("isolation: strict")
		w.all(strictSandbox...)
	}
	writeDevices(w, rev, strict)
	writeNetwork(w, rev.Config.Network)
	if !rev.Config.ExecutableMemory {
		w.comment("executable_memory: false")
		w.set("MemoryDenyWriteExecute", "yes")
	}
}

// writeDevices leaves an instance the devices that are none, such as /dev/null, and those that it asks for.
func writeDevices(w *writer, rev platform.Revision, strict bool) {
	w.set("DevicePolicy", "closed")
	if len(rev.Config.Devices) == 0 {
		if strict {
			w.set("PrivateDevices", "yes")
		}
		return
	}
	w.comment("devices:")
	for _, device := range rev.Config.Devices {
		w.set("DeviceAllow", device+" rw")
	}
	if len(rev.DeviceGroups) > 0 {
		w.set("SupplementaryGroups", strings.Join(rev.DeviceGroups, " "))
	}
}

func writeNetwork(w *writer, network platform.Network) {
	w.set("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6")
	if network == platform.NetworkNone {
		w.comment("network: none")
		w.set("PrivateNetwork", "yes")
	}
}
