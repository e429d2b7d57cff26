package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// The width of a chart: that of the terminal, within bounds.
const (
	chartWidth    = 80
	minChartWidth = 40
	maxChartWidth = 160
)

func chartWidthOf(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return chartWidth
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return chartWidth
	}
	return min(max(width, minChartWidth), maxChartWidth)
}

// chart is a series of values of which each stands for as much time, drawn as columns.
type chart struct {
	title  string
	values []int
	// top is the value at the upper edge, above 0; rows is the height.
	top, rows int
	// end is the label at the right end of the time axis, which begins with 0.
	end string
}

// print draws the chart. Where there is less room than values, a column is the highest of several.
func (c chart) print(w io.Writer, width int) {
	label := len(fmt.Sprint(c.top))
	columns := highest(c.values, width-label-len(" ┤"))
	fmt.Fprintln(w, c.title)
	for row := c.rows - 1; row >= 0; row-- {
		text := ""
		if row == c.rows-1 {
			text = fmt.Sprint(c.top)
		}
		fmt.Fprintf(w, "%*s ┤%s\n", label, text, strings.TrimRight(chartRow(columns, c.top, c.rows, row), " "))
	}
	fmt.Fprintf(w, "%*d ┼%s\n", label, 0, strings.Repeat("─", len(columns)))
	fmt.Fprintf(w, "%*s 0s%*s\n", label, "", max(1, len(columns)-1), c.end)
}

// chartRow draws one row, counted from the axis, in eighths of its height. What is not zero is seen.
func chartRow(columns []int, top, rows, row int) string {
	const blocks = " ▁▂▃▄▅▆▇█"
	eighths := []rune(blocks)
	var b strings.Builder
	for _, value := range columns {
		level := value * rows * 8 / top
		if value > 0 {
			level = max(1, level)
		}
		b.WriteRune(eighths[min(max(level-row*8, 0), 8)])
	}
	return b.String()
}

// highest shortens a series to at most n values, each the highest of as many.
func highest(values []int, n int) []int {
	n = min(n, len(values))
	short := make([]int, n)
	for i := range short {
		short[i] = slices.Max(values[i*len(values)/n : (i+1)*len(values)/n])
	}
	return short
}
