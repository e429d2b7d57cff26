package cli

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

// The bounds of a trace: a week in seconds, and what is replayed within seconds.
const (
	traceBytes    = 16 << 20
	traceSeconds  = 7 * 24 * 3600
	traceRequests = 20_000_000
)

// readTrace reads a trace of arrivals: a CSV file whose lines are a second, counted from 0, and its requests.
func readTrace(path string) ([]int, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the trace: %w", err)
	}
	defer file.Close()
	return parseTrace(path, file)
}

// parseTrace returns the arrivals of each second. Seconds that are left out have none. name is for errors, which name the
// line, too.
func parseTrace(name string, r io.Reader) ([]int, error) {
	limited := &io.LimitedReader{R: r, N: traceBytes + 1}
	reader := csv.NewReader(limited)
	reader.FieldsPerRecord, reader.ReuseRecord, reader.TrimLeadingSpace, reader.Comment = -1, true, true, '#'
	t := trace{}
	for first := true; ; first = false {
		record, err := reader.Read()
		if limited.N == 0 {
			return nil, fmt.Errorf("%s: the file is larger than %s", name, platform.ByteSize(traceBytes))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, traceError(name, err)
		}
		if first && isTraceHeader(record) {
			continue
		}
		if err := t.add(record); err != nil {
			line, _ := reader.FieldPos(0)
			return nil, fmt.Errorf("%s:%d: %w", name, line, err)
		}
	}
	if len(t.arrivals) == 0 {
		return nil, platform.WithHint(fmt.Errorf("%s: the trace is empty", name), "a line is second,requests: 0,12")
	}
	return t.arrivals, nil
}

// traceError says where a file is no CSV, or why it cannot be read.
func traceError(name string, err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf("%s:%d: %w", name, parse.Line, parse.Err)
	}
	return fmt.Errorf("read the trace: %w", err)
}

func isTraceHeader(record []string) bool {
	return len(record) == 2 && strings.EqualFold(strings.TrimSpace(record[0]), "second") &&
		strings.EqualFold(strings.TrimSpace(record[1]), "requests")
}

// trace is a trace that is being read.
type trace struct {
	arrivals []int
	total    int
}

func (t *trace) add(record []string) error {
	if len(record) != 2 {
		return fmt.Errorf("a line is second,requests, got %s", platform.Plural(len(record), "field"))
	}
	second, err := traceNumber("second", record[0], traceSeconds-1)
	if err != nil {
		return err
	}
	requests, err := traceNumber("requests", record[1], traceRequests)
	if err != nil {
		return err
	}
	if second < len(t.arrivals) {
		return fmt.Errorf("second %d comes after second %d: seconds must grow", second, len(t.arrivals)-1)
	}
	if t.total += requests; t.total > traceRequests {
		return fmt.Errorf("there are more than %d requests in all", traceRequests)
	}
	for len(t.arrivals) < second {
		t.arrivals = append(t.arrivals, 0)
	}
	t.arrivals = append(t.arrivals, requests)
	return nil
}

func traceNumber(what, text string, most int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s must be an integer from 0 to %d, got %.40q", what, most, text)
	}
	return n, nil
}
