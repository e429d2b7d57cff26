package journal

import (
	"bytes"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"

	journald "github.com/coreos/go-systemd/v22/journal"
)

// sentEntry is what a handler gives to journald.
type sentEntry struct {
	message  string
	priority journald.Priority
	fields   map[string]string
}

// recordingLogger returns a logger, what it has sent, and what it could not send.
func recordingLogger(refuse error) (log *slog.Logger, sent *[]sentEntry, refused *bytes.Buffer) {
	sent, refused = &[]sentEntry{}, &bytes.Buffer{}
	return slog.New(handler{
		send: func(message string, priority journald.Priority, fields map[string]string) error {
			*sent = append(*sent, sentEntry{message, priority, fields})
			return refuse
		},
		fallback: slog.NewTextHandler(refused, &slog.HandlerOptions{ReplaceAttr: withoutTime}),
	}), sent, refused
}

func TestJournalHandler(t *testing.T) {
	for _, c := range []struct {
		name string
		log  func(*slog.Logger)
		want sentEntry
	}{
		{"no attribute", func(l *slog.Logger) { l.Info("metrics are back") },
			sentEntry{"metrics are back", journald.PriInfo, map[string]string{}}},
		{"attributes", func(l *slog.Logger) { l.Info("scale", "event", "scale", "from", 1, "why", "two words") },
			sentEntry{`scale event=scale from=1 why="two words"`, journald.PriInfo,
				map[string]string{"FNCTL_EVENT": "scale", "FNCTL_FROM": "1", "FNCTL_WHY": "two words"}}},
		{"an error", func(l *slog.Logger) { l.Error("start", "err", errors.New("line\nbreak")) },
			sentEntry{`start err="line\nbreak"`, journald.PriErr, map[string]string{"FNCTL_ERR": "line\nbreak"}}},
		{"with", func(l *slog.Logger) { l.With("function", "ping").Warn("slow", "took-ms", 5) },
			sentEntry{"slow function=ping took-ms=5", journald.PriWarning,
				map[string]string{"FNCTL_FUNCTION": "ping", "FNCTL_TOOK_MS": "5"}}},
		{"groups", func(l *slog.Logger) {
			l.WithGroup("a").With("b", 1).WithGroup("").Info("m", slog.Group("c", "d", 2), slog.Group("", "e", 3))
		}, sentEntry{"m a.b=1 a.c.d=2 a.e=3", journald.PriInfo,
			map[string]string{"FNCTL_A_B": "1", "FNCTL_A_C_D": "2", "FNCTL_A_E": "3"}}},
		{"a name that is none for journald", func(l *slog.Logger) { l.Info("m", "é_=1", "x") },
			sentEntry{`m "é_=1"=x`, journald.PriInfo, map[string]string{"FNCTL____1": "x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			log, sent, refused := recordingLogger(nil)
			c.log(log)
			if len(*sent) != 1 || refused.Len() > 0 {
				t.Fatalf("sent %d entries, %q to stderr", len(*sent), refused)
			}
			got := (*sent)[0]
			c.want.fields["SYSLOG_IDENTIFIER"] = "fnctl"
			if got.message != c.want.message || got.priority != c.want.priority || !maps.Equal(got.fields, c.want.fields) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestJournalHandlerIgnoresDebug(t *testing.T) {
	log, sent, _ := recordingLogger(nil)
	log.Debug("m")
	if len(*sent) > 0 {
		t.Errorf("sent %+v", *sent)
	}
}

// Loggers made from one must not write into each other's attributes.
func TestJournalHandlersAreApart(t *testing.T) {
	log, sent, _ := recordingLogger(nil)
	base := log.With("a", 1, "b", 2, "c", 3)
	first, second := base.With("x", 1), base.With("x", 2)
	first.Info("m")
	second.Info("m")
	if got := (*sent)[0].fields["FNCTL_X"] + (*sent)[1].fields["FNCTL_X"]; got != "12" {
		t.Errorf("got %s, want 12", got)
	}
}

func TestJournalHandlerFallsBack(t *testing.T) {
	log, _, refused := recordingLogger(errors.New("no journald"))
	log.With("function", "ping").WithGroup("g").Info("hello", "a", 1)
	if got, want := strings.TrimSpace(refused.String()), "level=INFO msg=hello function=ping g.a=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
