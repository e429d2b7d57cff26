package cli

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/fnctl/fnctl/activator/autoscaler"
)

// simulationResult is what "fnctl simulate -o json" prints. Its fields are an interface that scripts use.
type simulationResult struct {
	// Config is the file of the configuration, "" for the defaults.
	Config string         `json:"config"`
	Trace  string         `json:"trace"`
	Runs   []simulatedRun `json:"runs"`
}

// simulatedRun is what came of one way to scale.
type simulatedRun struct {
	Name   string           `json:"name"`
	Total  simulatedPoint   `json:"total"`
	Points []simulatedPoint `json:"points"`
}

// simulatedPoint is an autoscaler.Point, with names for JSON.
type simulatedPoint struct {
	Second          int     `json:"second"`
	Arrivals        int     `json:"arrivals"`
	Desired         int     `json:"desired"`
	Ready           int     `json:"ready"`
	Starting        int     `json:"starting"`
	Queued          int     `json:"queued"`
	ColdStarts      int     `json:"cold_starts"`
	QueueSeconds    float64 `json:"queue_seconds"`
	InstanceSeconds float64 `json:"instance_seconds"`
}

func newRun(name string, points []autoscaler.Point) simulatedRun {
	run := simulatedRun{Name: name, Total: simulatedPoint(autoscaler.Total(points))}
	for _, p := range points {
		run.Points = append(run.Points, simulatedPoint(p))
	}
	return run
}

// The heights of charts, in rows.
const (
	arrivalRows  = 4
	instanceRows = 8
)

func (r simulationResult) print(w io.Writer) {
	width, first := chartWidthOf(w), r.Runs[0]
	r.chart(first, "requests per second", arrivalRows, func(p simulatedPoint) int { return p.Arrivals }).print(w, width)
	for _, run := range r.Runs {
		title := "instances"
		if len(r.Runs) > 1 {
			title += ", " + run.Name
		}
		fmt.Fprintln(w)
		r.chart(run, title, instanceRows, func(p simulatedPoint) int { return p.Ready }).print(w, width)
	}
	fmt.Fprintln(w)
	r.printTotals(w)
}

// chart draws one value of a run, on a scale that all runs share. Few instances get a row each.
func (r simulationResult) chart(run simulatedRun, title string, rows int, value func(simulatedPoint) int) chart {
	top := 1
	for _, other := range r.Runs {
		top = max(top, slices.Max(valuesOf(other.Points, value)))
	}
	return chart{
		title: title, values: valuesOf(run.Points, value), top: top, rows: min(rows, top),
		end: (time.Duration(len(run.Points)) * time.Second).String(),
	}
}

func valuesOf(points []simulatedPoint, value func(simulatedPoint) int) []int {
	values := make([]int, len(points))
	for i, p := range points {
		values[i] = value(p)
	}
	return values
}

func (r simulationResult) printTotals(w io.Writer) {
	t := newTable(w)
	header := table.Row{""}
	rows := []table.Row{{"Requests"}, {"Cold starts"}, {"Queue time (request-seconds)"}, {"Instance-seconds"}, {"Most instances"}}
	for _, run := range r.Runs {
		header = append(header, run.Name)
		total := run.Total
		for i, cell := range []any{
			total.Arrivals, total.ColdStarts, fmt.Sprintf("%.1f", total.QueueSeconds),
			fmt.Sprintf("%.0f", total.InstanceSeconds), total.Ready,
		} {
			rows[i] = append(rows[i], cell)
		}
	}
	t.AppendHeader(header)
	t.AppendRows(rows)
	t.Render()
}
