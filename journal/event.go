package journal

import (
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// Event is something that happened to a function. "fnctl events NAME -o json" prints it; its fields are an interface that
// scripts use.
type Event struct {
	Time time.Time `json:"time"`
	// Event is what happened, in one word, such as scale, start or fail.
	Event    string `json:"event"`
	Function string `json:"function"`
	Revision string `json:"revision,omitempty"`
	Instance string `json:"instance,omitempty"`
	Why      string `json:"why,omitempty"`
}

// Subject is what it happened to, as exactly as it is known.
func (e Event) Subject() string {
	if e.Instance != "" {
		return e.Instance
	}
	return e.Revision
}

// What systemd says of services, by the identifiers of its messages (sd-messages.h).
const (
	messageStarted = "39f53479d3a045ac8e11786248231fbf" // a start has succeeded
	messageExited  = "98e322203f7a4ed290d09fe03c09fe15" // the main process ended, and not well
	messageSuccess = "7ad2d189f7e94e70a38c781354912448" // a service ended well
	messageFailure = "d9b373ed55a64feb8242e02dbe79a49c" // a service ended in a failure
)

// activatorMatches are journalctl's matches for what the activator says of a function, systemdMatches for what systemd says
// of services: of some, or of all.
func activatorMatches(function string) []string {
	return []string{"_SYSTEMD_UNIT=fnctl-activator.service", "FNCTL_FUNCTION=" + function}
}

func systemdMatches(units []string) []string {
	matches := []string{
		"_PID=1", "MESSAGE_ID=" + messageStarted, "MESSAGE_ID=" + messageExited,
		"MESSAGE_ID=" + messageSuccess, "MESSAGE_ID=" + messageFailure,
	}
	for _, unit := range units {
		matches = append(matches, "UNIT="+unit)
	}
	return matches
}

// event makes an event of a journal entry; ok is false if it is none of this function.
func (entry Entry) event(function string) (e Event, ok bool) {
	if entry.MessageID != "" {
		e, ok = entry.systemdEvent()
	} else {
		e, ok = entry.activatorEvent()
	}
	usec, err := strconv.ParseInt(string(entry.Time), 10, 64)
	e.Time = time.UnixMicro(usec).UTC()
	return e, ok && err == nil && e.Function == function
}

// activatorEvent is what the activator decided or did. That a process started and ended well is systemd's to tell: it
// knows also of those that a request has started.
func (entry Entry) activatorEvent() (Event, bool) {
	e := Event{
		Event: string(entry.Event), Function: string(entry.Function), Revision: string(entry.Revision),
		Instance: string(entry.Instance), Why: string(entry.Why),
	}
	switch e.Event {
	case "start":
		return e, e.Why != "" // the start of an app in a sandbox that was there: to systemd its service runs already
	case "", "stop":
		return e, false
	case "scale":
		e.Why = string(entry.From) + " → " + string(entry.To) + "; " + e.Why
	case "fail":
		e.Why = string(entry.Err)
	case "ready":
		if entry.Duration != "" {
			e.Why = "accepted a connection after " + string(entry.Duration)
		}
	}
	return e, true
}

// systemdEvent is what happened to the process of an instance.
func (entry Entry) systemdEvent() (Event, bool) {
	id, kind, ok := platform.ParseUnit(string(entry.Unit))
	if !ok || kind != "service" {
		return Event{}, false
	}
	e := Event{Function: id.Revision.Function, Revision: id.Revision.String(), Instance: id.String()}
	switch entry.MessageID {
	case messageStarted:
		e.Event = "start"
	case messageSuccess:
		e.Event = "stop"
	case messageExited:
		e.Event, e.Why = "fail", sentence(string(entry.Message))
		return e, entry.Command != "ExecStopPost" // which is cut short when an instance is ended for good
	case messageFailure:
		e.Event, e.Why = "fail", sentence(string(entry.Message))
		switch entry.UnitResult {
		case "exit-code", "signal", "core-dump":
			return e, false // the end of the process says more
		}
	}
	return e, e.Event != ""
}

// sentence is systemd's message about a unit as part of a line of ours, without the unit and the full stop.
func sentence(message string) string {
	if _, after, found := strings.Cut(message, ": "); found {
		message = after
	}
	message = strings.TrimSuffix(message, ".")
	if message == "" {
		return ""
	}
	return strings.ToLower(message[:1]) + message[1:]
}
