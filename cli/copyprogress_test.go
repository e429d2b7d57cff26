package cli

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/snapshot"
)

// The bar fits into a line with the spinner before it and the time after it.
func TestCopyBar(t *testing.T) {
	total := snapshot.Amount{Files: 10_000, Bytes: 999_900_000}
	for _, c := range []struct {
		done, total snapshot.Amount
		want        string
	}{
		{snapshot.Amount{}, total, strings.Repeat("░", barWidth) + " 0/10000 files, 0 B/999.9 MB"},
		{snapshot.Amount{Files: 9999, Bytes: 999_899_999}, total, strings.Repeat("█", barWidth-1) + "░ 9999/10000 files, 999.9 MB/999.9 MB"},
		{total, total, strings.Repeat("█", barWidth) + " 10000/10000 files, 999.9 MB/999.9 MB"},
		{snapshot.Amount{Files: 1}, snapshot.Amount{Files: 2}, strings.Repeat("█", barWidth) + " 1/2 files, 0 B/0 B"},
	} {
		got := copyBar(c.done, c.total)
		if got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
		if width := len([]rune("⣾ copying the app " + got + " (99.9s)")); width > 80 {
			t.Errorf("%q is %d wide", got, width)
		}
	}
}
