package journal

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	journald "github.com/coreos/go-systemd/v22/journal"
)

// Identifier is that of what the daemons log.
const Identifier = "fnctl"

// handler writes log records to journald, where each attribute is a field, too: function is FNCTL_FUNCTION, so
// that "journalctl FNCTL_FUNCTION=ping" finds what is about ping.
type handler struct {
	send func(message string, priority journald.Priority, fields map[string]string) error
	// fallback takes what journald doesn't.
	fallback slog.Handler
	// attrs are those of With, named with their groups; group is what goes before the names of further ones.
	attrs []slog.Attr
	group string
}

// Enabled implements slog.Handler.
func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.fallback.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = appendFlat(attrs, h.group, a)
		return true
	})
	if h.send(messageOf(r.Message, attrs), priorityOf(r.Level), fieldsOf(attrs)) == nil {
		return nil
	}
	return h.fallback.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs, h.fallback = slices.Clone(h.attrs), h.fallback.WithAttrs(attrs)
	for _, a := range attrs {
		h.attrs = appendFlat(h.attrs, h.group, a)
	}
	return h
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group, h.fallback = h.group+name+".", h.fallback.WithGroup(name)
	}
	return h
}

// appendFlat appends an attribute, or the members of a group, under their full names.
func appendFlat(list []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return list
	}
	if a.Value.Kind() != slog.KindGroup {
		a.Key = prefix + a.Key
		return append(list, a)
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, member := range a.Value.Group() {
		list = appendFlat(list, prefix, member)
	}
	return list
}

// messageOf is the line that journalctl shows: the message, then the attributes as slog's text has them.
func messageOf(message string, attrs []slog.Attr) string {
	var b strings.Builder
	record := slog.NewRecord(time.Time{}, slog.LevelInfo, "", 0)
	record.AddAttrs(attrs...)
	// A Builder takes everything.
	_ = slog.NewTextHandler(&b, nil).Handle(context.Background(), record)
	return strings.TrimSpace(message + strings.TrimPrefix(b.String(), `level=INFO msg=""`))
}

func fieldsOf(attrs []slog.Attr) map[string]string {
	fields := map[string]string{"SYSLOG_IDENTIFIER": Identifier}
	for _, a := range attrs {
		fields[fieldName(a.Key)] = a.Value.String()
	}
	return fields
}

// fieldName is the name of an attribute's field: journald takes upper-case letters, digits and underscores.
func fieldName(key string) string {
	return "FNCTL_" + strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}

func priorityOf(level slog.Level) journald.Priority {
	switch {
	case level >= slog.LevelError:
		return journald.PriErr
	case level >= slog.LevelWarn:
		return journald.PriWarning
	case level >= slog.LevelInfo:
		return journald.PriInfo
	}
	return journald.PriDebug
}
