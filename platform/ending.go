package platform

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Ending returns how the last run of a service ended, as the end of a sentence about it.
func (s ServiceStatus) Ending() string {
	switch s.Result {
	case "", "success":
		if s.Signaled {
			return "was stopped by " + signalName(s.ExitStatus)
		}
		return fmt.Sprintf("exited with status %d", s.ExitStatus)
	case "exit-code":
		if s.ExitStatus == exitCredentials {
			return fmt.Sprintf("cannot be given its secrets: set them again (status %d/%s)", exitCredentials, setupSteps[exitCredentials].name)
		}
		if name := setupSteps[s.ExitStatus].name; name != "" {
			return fmt.Sprintf("cannot be executed: status %d/%s", s.ExitStatus, name)
		}
		return fmt.Sprintf("exited with status %d", s.ExitStatus)
	case "signal", "core-dump":
		return "was killed by " + signalName(s.ExitStatus)
	case "oom-kill":
		return "ran out of memory"
	case "timeout":
		return "was stopped: it took too long"
	}
	return "systemd cannot start it: " + s.Result
}

// StartEnding returns how the last run of a service ended that was started, and waited for, by a command: a sentence about the
// instance, with what its status means if systemd has given it.
func (s ServiceStatus) StartEnding() string {
	switch s.Result {
	case "", "success":
		return fmt.Sprintf("it ended at once with exit status %d", s.ExitStatus)
	case "exit-code":
		if meaning := setupSteps[s.ExitStatus].meaning; meaning != "" {
			return fmt.Sprintf("it ended with exit status %d (systemd could not %s)", s.ExitStatus, meaning)
		}
		return fmt.Sprintf("it ended with exit status %d", s.ExitStatus)
	case "signal", "core-dump":
		return fmt.Sprintf("it was ended by signal %d", s.ExitStatus)
	}
	return "it ended: " + s.Result
}

// exitCredentials is the status of a process whose credentials could not be decrypted, or read.
const exitCredentials = 243

// setupSteps are the statuses that systemd gives to a process which it could not make, with its names for them
// (systemd.exec(5), "Process exit codes") and, for those that an app or a deploy can bring about, what it could not do.
var setupSteps = map[int]struct{ name, meaning string }{
	200: {"CHDIR", "enter its directory"},
	202: {name: "FDS"},
	203: {"EXEC", "execute it: is the interpreter there, and the file a program for this machine?"},
	206: {name: "OOM_ADJUST"},
	209: {name: "STDOUT"},
	214: {name: "SETSCHEDULER"},
	216: {name: "GROUP"},
	217: {"USER", "make its user"},
	218: {name: "CAPABILITIES"},
	219: {name: "CGROUP"},
	225: {name: "NETWORK"},
	226: {"NAMESPACE", "set up its sandbox"},
	227: {name: "NO_NEW_PRIVILEGES"},
	228: {name: "SECCOMP"},
	232: {name: "ADDRESS_FAMILIES"},
	233: {name: "RUNTIME_DIRECTORY"},
	238: {name: "STATE_DIRECTORY"},
	239: {name: "CACHE_DIRECTORY"},
	240: {name: "LOGS_DIRECTORY"},
	241: {name: "CONFIGURATION_DIRECTORY"},

	exitCredentials: {"CREDENTIALS", "decrypt its secrets, or not read them: set them again with --secret"},
}

func signalName(number int) string {
	if name := unix.SignalName(unix.Signal(number)); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", number)
}
