package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

const (
	// restOfLine is how long the rest of a line is waited for that journald has split, while the journal is followed.
	restOfLine = time.Second
	// maxLine bounds the memory of such a line.
	maxLine = 1 << 20
)

// logEntry is an entry of the journal with all of its fields.
type logEntry map[string]journal.Raw

// logPrinter prints entries of the journal: each line whole, and as text, whatever the app has written.
type logPrinter struct {
	w    io.Writer // a screen
	json bool
	open map[journal.Raw]*openLine // by the stream that it comes from
}

// openLine is a line of which journald, which takes some 48 KiB at a time (LineMax=), has more to say.
type openLine struct {
	entry logEntry // the first
	text  strings.Builder
	since time.Time // the last part came
}

func newLogPrinter(w io.Writer, json bool) *logPrinter {
	return &logPrinter{w: w, json: json, open: make(map[journal.Raw]*openLine)}
}

// read prints what journalctl finds, until there is no more of it or the context ends.
func (p *logPrinter) read(ctx context.Context, stderr io.Writer, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	entries, ended := make(chan logEntry), make(chan error, 1)
	go func() {
		defer close(entries)
		ended <- journal.Read(ctx, stderr, args, func(entry logEntry) error {
			select {
			case entries <- entry:
				return nil
			case <-ctx.Done():
				return journal.ErrStop
			}
		})
	}()
	follows := slices.Contains(args, "--follow")
	var failed error
	for failed == nil {
		var late <-chan time.Time
		if oldest, is := p.oldest(); is && follows {
			late = time.After(time.Until(oldest.Add(restOfLine)))
		}
		select {
		case now := <-late:
			failed = p.close(now.Add(-restOfLine))
		case entry, more := <-entries:
			if !more {
				return cmp.Or(p.close(time.Now()), <-ended)
			}
			failed = p.next(entry)
		}
	}
	cancel()
	for range entries { // it ends with the context
	}
	return failed
}

// oldest is when the line last grew that has not for longest.
func (p *logPrinter) oldest() (since time.Time, is bool) {
	for _, line := range p.open {
		if !is || line.since.Before(since) {
			since, is = line.since, true
		}
	}
	return since, is
}

// next prints an entry, or keeps it if there will be more of its line.
func (p *logPrinter) next(entry logEntry) error {
	stream, goesOn := entry["_STREAM_ID"], entry["_LINE_BREAK"] == "line-max"
	line := p.open[stream]
	if line == nil && !goesOn {
		return p.print(entry)
	}
	if line == nil {
		line = &openLine{entry: entry}
		p.open[stream] = line
	}
	line.since = time.Now()
	line.text.WriteString(string(entry["MESSAGE"]))
	if goesOn && line.text.Len() < maxLine {
		return nil
	}
	return p.finish(stream)
}

// close prints the lines that have not grown since some time, as far as they go.
func (p *logPrinter) close(since time.Time) error {
	for stream, line := range p.open {
		if line.since.After(since) {
			continue
		}
		if err := p.finish(stream); err != nil {
			return err
		}
	}
	return nil
}

func (p *logPrinter) finish(stream journal.Raw) error {
	line := p.open[stream]
	delete(p.open, stream)
	line.entry["MESSAGE"] = journal.Raw(line.text.String())
	delete(line.entry, "_LINE_BREAK")
	return p.print(line.entry)
}

func (p *logPrinter) print(entry logEntry) error {
	if p.json {
		fields := make(map[string]string, len(entry))
		for name, value := range entry {
			fields[name] = strings.ToValidUTF8(string(value), string(utf8.RuneError))
		}
		fields["MESSAGE"] = messageOf(entry)
		return printJSONLine(p.w, fields)
	}
	prefix := platform.Printable(logPrefix(entry))
	text := strings.ReplaceAll(platform.Printable(messageOf(entry)), "\n", "\n"+strings.Repeat(" ", utf8.RuneCountInString(prefix)))
	_, err := fmt.Fprintln(p.w, prefix+text)
	return err
}

// messageOf is the text of an entry, of which each line is as a terminal would leave it.
func messageOf(entry logEntry) string {
	lines := strings.Split(string(entry["MESSAGE"]), "\n")
	for i, line := range lines {
		lines[i] = platform.Line(line)
	}
	return strings.Join(lines, "\n")
}

// logPrefix is what stands before a message: the time, the machine, and who says it.
func logPrefix(entry logEntry) string {
	var b strings.Builder
	if usec, err := strconv.ParseInt(string(entry["__REALTIME_TIMESTAMP"]), 10, 64); err == nil {
		b.WriteString(time.UnixMicro(usec).Format("2006-01-02T15:04:05-0700") + " ")
	}
	b.WriteString(string(entry["_HOSTNAME"] + " " + cmp.Or(entry["SYSLOG_IDENTIFIER"], entry["_COMM"], "unknown")))
	if pid := cmp.Or(entry["_PID"], entry["SYSLOG_PID"]); pid != "" {
		b.WriteString("[" + string(pid) + "]")
	}
	return b.String() + ": "
}
