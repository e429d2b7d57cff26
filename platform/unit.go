package platform

// UnitStatus is the state of a loaded unit in systemd.
type UnitStatus struct {
	Name string
	// Active is systemd's ActiveState: active, activating, deactivating, inactive or failed.
	Active string
	// Sub is the state of the unit's type, such as listening, running or stop-post.
	Sub string
}

// Running reports whether the unit has processes, or is about to.
func (u UnitStatus) Running() bool { return u.Active == "active" || u.Active == "activating" }

// Gone reports whether nothing of the unit is left, so that it may be started anew.
func (u UnitStatus) Gone() bool {
	return u.Active == "inactive" || u.Active == "failed" || u.Active == ""
}

// ServiceStatus is the state of a service in systemd.
type ServiceStatus struct {
	UnitStatus
	// Load is loaded, or why systemd cannot use the unit: masked, not-found, bad-setting or error.
	Load    string
	MainPID int
	// Result is success, or how the last run ended: exit-code, signal, oom-kill, timeout, …
	Result string
	// Ended reports whether systemd remembers a run that has ended, Signaled whether a signal has ended it.
	Ended, Signaled bool
	// ExitStatus is the exit code or the signal of the last run's main process.
	ExitStatus int
}

// Seen is what others than systemd know of an instance.
type Seen struct {
	Proved bool // it has accepted a connection since its service was started
	Deaf   bool // the gateway says that it has stopped reading
	Frozen bool // its processes are frozen
	Poised bool // its process waits in the sandbox, and is not the app yet
}

// StateOf returns where an instance stands in its life, by the states of its two units and what was seen of it. The empty state means
// that nothing of the instance is left.
func StateOf(socket, service UnitStatus, seen Seen) InstanceState {
	listening := socket.Active == "active"
	switch {
	case listening && service.Running() && seen.Frozen:
		return Standby
	case listening && !service.Gone() && seen.Poised:
		return Poised
	case listening && service.Running() && seen.Deaf:
		return Deaf
	case listening && service.Running() && seen.Proved:
		return Ready
	case listening && service.Running():
		return Starting
	case listening && service.Gone() && service.Active != "failed":
		return Armed
	case listening || socket.Active == "failed":
		return Failed
	case !service.Gone():
		return Draining
	}
	return ""
}
