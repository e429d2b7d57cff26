// Package journal reads the journal, by journalctl, and writes to it: what happened to a function, the last lines of an app,
// and the log of the daemons.
package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// timeout bounds a question to the journal.
const timeout = 10 * time.Second

// Lines returns the last lines that a unit's processes wrote since some time.
func Lines(unit string, since time.Time, n int) []string {
	return lines(unit, n, "--since="+instant(since))
}

// LinesUntil returns the last lines that a unit's processes wrote between two moments.
func LinesUntil(unit string, since, until time.Time, n int) []string {
	return lines(unit, n, "--since="+instant(since), "--until="+instant(until))
}

// instant is a moment as journalctl takes it.
func instant(t time.Time) string { return fmt.Sprintf("@%d.%06d", t.Unix(), t.Nanosecond()/1000) }

func lines(unit string, n int, within ...string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	// What the app wrote just before it ended may still be on its way; without root it cannot be waited for.
	_ = exec.CommandContext(ctx, "journalctl", "--sync").Run()
	// Backwards, because with --since the first lines are shown, not the last.
	args := append([]string{"--quiet", "--all", "--reverse", "--lines=" + strconv.Itoa(n), "_SYSTEMD_UNIT=" + unit}, within...)
	var lines []string
	err := Read(ctx, io.Discard, args, func(entry struct {
		Message Raw `json:"MESSAGE"`
	},
	) error {
		text := strings.Split(string(entry.Message), "\n")
		slices.Reverse(text)
		for _, line := range text {
			lines = append(lines, platform.Line(line))
		}
		return nil
	})
	if err != nil {
		return nil
	}
	slices.Reverse(lines)
	return lines
}

// The digits of the number of a revision: five, and more from 100000 on.
const fewestDigits, mostDigits = 5, 9

// UnitPatterns match the units of all instances of a function, and of no other function: ping-00001-x is a name, too.
func UnitPatterns(name string) (patterns []string) {
	for digits := fewestDigits; digits <= mostDigits; digits++ {
		patterns = append(patterns, "fn-"+name+"-"+strings.Repeat("[0-9]", digits)+"@*.service")
	}
	return patterns
}

// Entry is what is read of an entry of the journal.
type Entry struct {
	Cursor     string `json:"__CURSOR"`
	Time       Text   `json:"__REALTIME_TIMESTAMP"`
	Message    Text   `json:"MESSAGE"`
	MessageID  Text   `json:"MESSAGE_ID"`
	Unit       Text   `json:"UNIT"`
	UnitResult Text   `json:"UNIT_RESULT"`
	Command    Text   `json:"COMMAND"` // of a service, whose process ended: ExecStart and so on
	Event      Text   `json:"FNCTL_EVENT"`
	Function   Text   `json:"FNCTL_FUNCTION"`
	Revision   Text   `json:"FNCTL_REVISION"`
	Instance   Text   `json:"FNCTL_INSTANCE"`
	From       Text   `json:"FNCTL_FROM"`
	To         Text   `json:"FNCTL_TO"`
	Why        Text   `json:"FNCTL_WHY"`
	Err        Text   `json:"FNCTL_ERR"`
	Duration   Text   `json:"FNCTL_DURATION"`
}

// Text is a field of an entry. journalctl writes one that is no text, or that occurs twice, as an array, and one
// that is very long as null: those are empty here.
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*t = Text(text)
	}
	return nil
}

// ErrStop, returned by a callback, ends the reading of the journal.
var ErrStop = errors.New("enough")

// Read hands on the entries that journalctl finds, with what E reads of each. It ends with the last one, or with the first error of each;
// ErrStop is none.
func Read[E any](ctx context.Context, stderr io.Writer, args []string, each func(E) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, "journalctl", append([]string{"--no-pager", "--output=json"}, args...)...)
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = decode(out, each)
	if err != nil {
		cancel() // it may have more to say than anybody will read
	}
	ended := cmd.Wait()
	switch {
	case errors.Is(err, ErrStop):
		return nil
	case err != nil:
		return err
	}
	return Explain(ended, args)
}

func decode[E any](r io.Reader, each func(E) error) error {
	decoder := json.NewDecoder(r)
	for {
		var entry E
		switch err := decoder.Decode(&entry); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the journal: %w", err)
		}
		if err := each(entry); err != nil {
			return err
		}
	}
}

// Explain says what may be wrong when journalctl, called with args, fails.
func Explain(err error, args []string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	err = fmt.Errorf("journalctl ended with status %d", exit.ExitCode())
	if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--since=") }) {
		return platform.WithHint(err, "--since takes times as journalctl does; see systemd.time(7)")
	}
	return platform.WithHint(err, "root and the group systemd-journal may read the journal")
}

// maxUnits bounds how many units a question names: a command line does not take any number. Who can write to the journal can also
// make up names of units.
const maxUnits = 500

// unitsOf lists the units of a function's instances that systemd has said something of, and whether they are too many to be named.
func unitsOf(ctx context.Context, function string) (units []string, tooMany bool, err error) {
	units, err = unitsIn(ctx, "UNIT", platform.RevisionID{Function: function})
	return units, len(units) > maxUnits, err
}

// unitsIn lists the services of a revision's instances, or of all of a function's if its number is 0, that a field of the journal has.
func unitsIn(ctx context.Context, field string, rev platform.RevisionID) (units []string, err error) {
	out, err := exec.CommandContext(ctx, "journalctl", "--quiet", "--field="+field).Output()
	if err != nil {
		return nil, Explain(err, nil)
	}
	for unit := range strings.Lines(string(out)) {
		unit = strings.TrimSuffix(unit, "\n")
		id, kind, ok := platform.ParseUnit(unit)
		if ok && kind == "service" && id.Revision.Function == rev.Function && (rev.Number == 0 || id.Revision == rev) {
			units = append(units, unit)
		}
	}
	return units, nil
}

// messageCoredump is what systemd-coredump says of a process that it has saved (sd-messages.h).
const messageCoredump = "fc2e22bc6ee647b6b90729ab34a250b1"

// InstanceMatches are journalctl's arguments for what the instances of a revision wrote, or all of a function's if its number is 0, and what
// systemd says of them, as --unit has it. With also they are for what that matches, too, unless there are too many instances. There are none if
// the journal has nothing of them.
func InstanceMatches(ctx context.Context, rev platform.RevisionID, also ...string) ([]string, error) {
	units, err := unitsIn(ctx, "UNIT", rev)
	if err != nil {
		return nil, err
	}
	wrote, err := unitsIn(ctx, "_SYSTEMD_UNIT", rev)
	if err != nil {
		return nil, err
	}
	units = append(units, wrote...)
	slices.Sort(units)
	units = slices.Compact(units)
	var args []string
	if len(units) > maxUnits {
		patterns := UnitPatterns(rev.Function)
		if rev.Number > 0 {
			patterns = []string{"fn-" + rev.String() + "@*.service"}
		}
		for _, pattern := range patterns {
			args = append(args, "--unit="+pattern) // which goes with no other matches
		}
		return args, nil
	}
	if len(units) == 0 {
		return nil, nil
	}
	for _, kind := range [][]string{
		{"_SYSTEMD_UNIT="}, {"_PID=1", "UNIT="}, {"_UID=0", "OBJECT_SYSTEMD_UNIT="}, {"MESSAGE_ID=" + messageCoredump, "_UID=0", "COREDUMP_UNIT="},
	} {
		last := len(kind) - 1
		args = append(args, kind[:last]...)
		for _, unit := range units {
			args = append(args, kind[last]+unit)
		}
		args = append(args, "+")
	}
	return append(args, also...), nil
}

// Time is the time of an entry, which the journal has as microseconds.
type Time struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	usec, err := strconv.ParseInt(text, 10, 64)
	t.Time = time.UnixMicro(usec).UTC()
	return err
}
