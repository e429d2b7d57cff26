package keepalive

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// columns that a trace must have, in this order; others may be between and behind them.
var columns = []string{"id", "trigger", "mean_ms", "mem_mb", "counts"}

// ReadTrace reads a trace in the format of testdata/traces/azure2019-*.csv.gz: gzip, CSV with a header, the counts as minute:calls
// separated by blanks. A MB is taken as 2^20 bytes. Errors name the line.
func ReadTrace(r io.Reader) (Trace, error) {
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return Trace{}, fmt.Errorf("read trace: %w", err)
	}
	reader := csv.NewReader(unzipped)
	header, err := reader.Read()
	if err != nil {
		return Trace{}, fmt.Errorf("read trace: header: %w", err)
	}
	var at [5]int
	for i, name := range columns {
		if at[i] = slices.Index(header, name); at[i] < 0 {
			return Trace{}, fmt.Errorf("read trace: line 1: no column %s", name)
		}
	}
	trace, ids := Trace{Assumptions: DefaultAssumptions}, map[string]bool{}
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return trace, nil
		}
		if err != nil {
			return Trace{}, fmt.Errorf("read trace: %w", err) // which has the line
		}
		f, err := parseFunction(row[at[0]], row[at[1]], row[at[2]], row[at[3]], row[at[4]])
		if err != nil {
			line, _ := reader.FieldPos(0)
			return Trace{}, fmt.Errorf("read trace: line %d: %w", line, err)
		}
		if ids[f.ID] {
			line, _ := reader.FieldPos(0)
			return Trace{}, fmt.Errorf("read trace: line %d: id %q is there twice", line, f.ID)
		}
		ids[f.ID] = true
		trace.Functions = append(trace.Functions, f)
	}
}

func parseFunction(id, trigger, mean, memory, counts string) (Function, error) {
	ms, err := strconv.ParseFloat(mean, 64)
	if err != nil || !(ms >= 0 && ms < 1e9) {
		return Function{}, fmt.Errorf("mean_ms: %q is no duration", mean)
	}
	mb, err := strconv.ParseFloat(memory, 64)
	if err != nil || !(mb >= 0 && mb < 1e9) {
		return Function{}, fmt.Errorf("mem_mb: %q is no size", memory)
	}
	f := Function{ID: id, Trigger: trigger, Duration: time.Duration(ms * 1e6), Memory: int64(mb * (1 << 20))}
	for field := range strings.FieldsSeq(counts) {
		minute, calls, _ := strings.Cut(field, ":")
		m, err1 := strconv.Atoi(minute)
		n, err2 := strconv.Atoi(calls)
		if err := errors.Join(err1, err2); err != nil || m < 0 || n < 1 {
			return Function{}, fmt.Errorf("counts: %q is not minute:calls", field)
		}
		if last := len(f.Minutes) - 1; last >= 0 && m <= f.Minutes[last].Minute {
			return Function{}, fmt.Errorf("counts: minute %d is not after minute %d", m, f.Minutes[last].Minute)
		}
		f.Minutes = append(f.Minutes, Minute{m, n})
	}
	return f, nil
}
