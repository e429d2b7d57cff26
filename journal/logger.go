package journal

import (
	"io"
	"log/slog"

	journald "github.com/coreos/go-systemd/v22/journal"
)

// NewLogger logs to the journal, with fields, if that is where stderr goes; else as text.
func NewLogger(w io.Writer) *slog.Logger {
	if inJournal, err := journald.StderrIsJournalStream(); err != nil || !inJournal {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	text := slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: withoutTime})
	if !journald.Enabled() {
		return slog.New(text)
	}
	return slog.New(handler{send: journald.Send, fallback: text})
}

// withoutTime drops the time, which the journal has already.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
