package cli

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

// journalTimeout bounds a question to the journal.
const journalTimeout = 10 * time.Second

// journalLines returns the last lines that a unit's processes wrote since some time.
func journalLines(unit string, since time.Time, n int) []string {
	ctx, cancel := context.WithTimeout(context.Background(), journalTimeout)
	defer cancel()
	// What the app wrote just before it ended may still be on its way; without root it cannot be waited for.
	_ = exec.CommandContext(ctx, "journalctl", "--sync").Run()
	// Backwards, because with --since the first lines are shown, not the last.
	out, err := exec.CommandContext(ctx, "journalctl", "--quiet", "--no-pager", "--output=cat", "--reverse",
		"--lines="+strconv.Itoa(n), fmt.Sprintf("--since=@%d.%06d", since.Unix(), since.Nanosecond()/1000), "_SYSTEMD_UNIT="+unit).Output()
	if err != nil {
		return nil
	}
	text := strings.TrimRight(string(out), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	slices.Reverse(lines)
	return lines
}

// journalPattern matches the units of all instances of a function, and of no other function.
func journalPattern(name string) string {
	return "fn-" + name + "-[0-9][0-9][0-9][0-9][0-9]@*.service"
}

// journalEntry is what is read of an entry of the journal.
type journalEntry struct {
	Cursor     string      `json:"__CURSOR"`
	Time       journalText `json:"__REALTIME_TIMESTAMP"`
	Message    journalText `json:"MESSAGE"`
	MessageID  journalText `json:"MESSAGE_ID"`
	Unit       journalText `json:"UNIT"`
	UnitResult journalText `json:"UNIT_RESULT"`
	Event      journalText `json:"FNCTL_EVENT"`
	Function   journalText `json:"FNCTL_FUNCTION"`
	Revision   journalText `json:"FNCTL_REVISION"`
	Instance   journalText `json:"FNCTL_INSTANCE"`
	From       journalText `json:"FNCTL_FROM"`
	To         journalText `json:"FNCTL_TO"`
	Why        journalText `json:"FNCTL_WHY"`
	Err        journalText `json:"FNCTL_ERR"`
	Duration   journalText `json:"FNCTL_DURATION"`
}

// journalText is a field of an entry. journalctl writes one that is no text, or that occurs twice, as an array, and one
// that is very long as null: those are empty here.
type journalText string

// UnmarshalJSON implements json.Unmarshaler.
func (t *journalText) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*t = journalText(text)
	}
	return nil
}

// errEnough ends the reading of the journal.
var errEnough = errors.New("enough")

// readJournal hands on the entries that journalctl finds, with what E reads of each. It ends with the last one, or with the first error of each;
// errEnough is none.
func readJournal[E any](ctx context.Context, stderr io.Writer, args []string, each func(E) error) error {
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
	err = decodeJournal(out, each)
	if err != nil {
		cancel() // it may have more to say than anybody will read
	}
	ended := cmd.Wait()
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err != nil:
		return err
	}
	return explainJournalctl(ended, args)
}

func decodeJournal[E any](r io.Reader, each func(E) error) error {
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

// explainJournalctl says what may be wrong when journalctl fails.
func explainJournalctl(err error, args []string) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	err = fmt.Errorf("journalctl ended with status %d", exit.ExitCode())
	if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--since=") }) {
		return withHint(err, "--since takes times as journalctl does; see systemd.time(7)")
	}
	return withHint(err, "root and the group systemd-journal may read the journal")
}

// journalUnits lists the units of a function's instances that systemd has said something of.
func journalUnits(ctx context.Context, function string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "journalctl", "--quiet", "--field=UNIT").Output()
	if err != nil {
		return nil, explainJournalctl(err, nil)
	}
	var units []string
	for unit := range strings.Lines(string(out)) {
		unit = strings.TrimSuffix(unit, "\n")
		if id, kind, ok := platform.ParseUnit(unit); ok && kind == "service" && id.Revision.Function == function {
			units = append(units, unit)
		}
	}
	return units, nil
}
