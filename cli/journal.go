package cli

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
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
		"--lines="+strconv.Itoa(n), fmt.Sprintf("--since=@%d", since.Unix()), "_SYSTEMD_UNIT="+unit).Output()
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
