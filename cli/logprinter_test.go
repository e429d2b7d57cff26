package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/journal"
)

func logged(message string, more ...journal.Raw) logEntry {
	entry := logEntry{
		"MESSAGE": journal.Raw(message), "__REALTIME_TIMESTAMP": "1700000000123456", "_HOSTNAME": "box", "SYSLOG_IDENTIFIER": "python3", "_PID": "7", "_STREAM_ID": "s",
	}
	for i := 0; i < len(more); i += 2 {
		entry[string(more[i])] = more[i+1]
	}
	return entry
}

// What an app writes is shown as a terminal would leave it, and lines that journald has split are whole.
func TestLogPrinter(t *testing.T) {
	prefix := time.UnixMicro(1700000000123456).Format("2006-01-02T15:04:05-0700") + " box python3[7]: "
	for name, c := range map[string]struct {
		entries    []logEntry
		text, json string
	}{
		"text":         {[]logEntry{logged("Hello, Wörld\t!")}, prefix + "Hello, Wörld\t!\n", `"MESSAGE":"Hello, Wörld\t!"`},
		"progress bar": {[]logEntry{logged("\r  5%|#\r100%|####\r")}, prefix + "100%|####\n", `"MESSAGE":"100%|####"`},
		"Latin-1":      {[]logEntry{logged("Stra\xdfe not found")}, prefix + "Stra\uFFFDe not found\n", `"MESSAGE":"Stra` + "\uFFFD" + `e not found"`},
		"escapes":      {[]logEntry{logged("\x1b[31mred")}, prefix + `\x1b[31mred` + "\n", `"MESSAGE":"\u001b[31mred"`},
		"two lines":    {[]logEntry{logged("one\ntwo")}, prefix + "one\n" + strings.Repeat(" ", len(prefix)) + "two\n", `"MESSAGE":"one\ntwo"`},
		"a long line": {[]logEntry{logged("on", "_LINE_BREAK", "line-max"), logged("other", "_STREAM_ID", "o"), logged("e ", "_LINE_BREAK", "line-max"), logged("end")},
			prefix + "other\n" + prefix + "one end\n", `"MESSAGE":"one end"`},
		"a letter in two": {[]logEntry{logged("\xc3", "_LINE_BREAK", "line-max"), logged("\xa4")}, prefix + "ä\n", `"MESSAGE":"ä"`},
		"never ends":      {[]logEntry{logged("one", "_LINE_BREAK", "line-max")}, prefix + "one\n", `"MESSAGE":"one"`},
		"of nobody":       {[]logEntry{{"MESSAGE": "x"}}, " unknown: x\n", `{"MESSAGE":"x"}`},
	} {
		for _, json := range []bool{false, true} {
			var out strings.Builder
			p := newLogPrinter(screen{&out}, json)
			for _, entry := range c.entries {
				if err := p.next(entry); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.close(time.Now()); err != nil {
				t.Fatal(err)
			}
			if !json && out.String() != c.text {
				t.Errorf("%s: got %q, want %q", name, out.String(), c.text)
			}
			if json && !strings.Contains(out.String(), c.json) {
				t.Errorf("%s: got %q, want %q", name, out.String(), c.json)
			}
		}
	}
}
