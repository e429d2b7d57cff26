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
			return fmt.Sprintf("cannot be given its secrets: set them again (status %d/%s)", exitCredentials, setupSteps[exitCredentials])
		}
		if name := setupSteps[s.ExitStatus]; name != "" {
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

// exitCredentials is the status of a process whose credentials could not be decrypted, or read.
const exitCredentials = 243

// setupSteps are the statuses that systemd gives to a process which it could not make, and its names for them
// (systemd.exec(5), "Process exit codes").
var setupSteps = map[int]string{
	200: "CHDIR", 202: "FDS", 203: "EXEC", 206: "OOM_ADJUST", 209: "STDOUT", 214: "SETSCHEDULER", 216: "GROUP", 217: "USER",
	218: "CAPABILITIES", 219: "CGROUP", 225: "NETWORK", 226: "NAMESPACE", 227: "NO_NEW_PRIVILEGES", 228: "SECCOMP",
	232: "ADDRESS_FAMILIES", 233: "RUNTIME_DIRECTORY", 238: "STATE_DIRECTORY", 239: "CACHE_DIRECTORY", 240: "LOGS_DIRECTORY",
	241: "CONFIGURATION_DIRECTORY", exitCredentials: "CREDENTIALS",
}

func signalName(number int) string {
	if name := unix.SignalName(unix.Signal(number)); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", number)
}
