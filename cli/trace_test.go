package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseTrace(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []int
		err        string
	}{
		{"plain", "0,3\n1,4\n", []int{3, 4}, ""},
		{"header, comment, blanks, gap, no last line end", "# a trace\r\nSecond, Requests\r\n\r\n0, 3\r\n3 ,4", []int{3, 0, 0, 4}, ""},
		{"quotes", `"0","3"`, []int{3}, ""},
		{"empty", "", nil, "x.csv: the trace is empty"},
		{"only a header", "second,requests\n", nil, "x.csv: the trace is empty"},
		{"another header", "time,hits\n0,1\n", nil, `x.csv:1: second must be an integer from 0 to 604799, got "time"`},
		{"a second header", "0,1\nsecond,requests\n", nil, `x.csv:2: second must be`},
		{"negative", "0,-1\n", nil, `x.csv:1: requests must be an integer from 0 to 20000000, got "-1"`},
		{"fraction", "0,1\n\n1,1.5\n", nil, `x.csv:3: requests must be`},
		{"one field", "0\n", nil, "x.csv:1: a line is second,requests, got 1 field"},
		{"three fields", "0,1\n1,2,3\n", nil, "x.csv:2: a line is second,requests, got 3 fields"},
		{"back in time", "0,1\n5,1\n5,2\n", nil, "x.csv:3: second 5 comes after second 5: seconds must grow"},
		{"more than a week", "604800,1\n", nil, "x.csv:1: second must be"},
		{"no quote at the end", "0,1\n1,\"2\n", nil, "x.csv:2: extraneous or missing"},
		{"a quote in the first field", "a\"b,1\n", nil, "x.csv:1: bare"},
		{"too many in all", "0,20000000\n1,1\n", nil, "x.csv:2: there are more than 20000000 requests in all"},
		{"too large", strings.Repeat("#\n", traceBytes/2) + "0,1\n", nil, "x.csv: the file is larger than 16.8 MB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseTrace("x.csv", strings.NewReader(c.text))
			switch {
			case c.err == "" && err != nil:
				t.Error(err)
			case c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err)):
				t.Errorf("got %v, want %s", err, c.err)
			case !slices.Equal(got, c.want):
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func FuzzParseTrace(f *testing.F) {
	f.Add("second,requests\n0,1\n")
	f.Add("5,\"1\n")
	f.Fuzz(func(t *testing.T, text string) {
		trace, err := parseTrace("x.csv", strings.NewReader(text))
		if err == nil && (len(trace) == 0 || len(trace) > traceSeconds || slices.Min(trace) < 0) {
			t.Errorf("%d seconds, %v", len(trace), trace[:min(len(trace), 10)])
		}
	})
}

// The examples are what their first lines say.
func TestExampleTraces(t *testing.T) {
	for name, want := range map[string]struct{ seconds, most int }{
		"steady": {900, 40}, "burst": {900, 400}, "wave": {3600, 64},
	} {
		trace, err := readTrace(filepath.Join("..", "testdata", "traces", name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Max(trace); len(trace) != want.seconds || got > want.most || got < want.most*9/10 {
			t.Errorf("%s: %d seconds, at most %d requests; want %d and about %d", name, len(trace), got, want.seconds, want.most)
		}
	}
}

func TestChart(t *testing.T) {
	var b strings.Builder
	chart{title: "t", values: []int{0, 1, 10, 160, 80}, top: 160, rows: 2, end: "5s"}.print(&b, 80)
	want := "t\n" +
		"160 ┤   █\n" +
		"    ┤ ▁▁██\n" +
		"  0 ┼─────\n" +
		"    0s  5s\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A chart is never wider than it may be, and does not lose a burst of a second.
func TestChartIsBounded(t *testing.T) {
	values := make([]int, 1000)
	values[777] = 5
	for _, width := range []int{minChartWidth, 77, maxChartWidth} {
		var b strings.Builder
		chart{title: "t", values: values, top: 5, rows: 1, end: "16m40s"}.print(&b, width)
		for line := range strings.Lines(b.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
				t.Errorf("width %d: a line of %d: %s", width, n, line)
			}
		}
		if !strings.Contains(b.String(), "█") {
			t.Errorf("width %d: the burst is lost", width)
		}
	}
	if got := fmt.Sprint(highest([]int{1, 9, 2, 3, 8}, 2)); got != "[9 8]" {
		t.Errorf("got %s, want [9 8]", got)
	}
}
