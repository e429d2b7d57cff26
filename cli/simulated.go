package cli

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/fnctl/fnctl/activator/autoscaler"
	"github.com/fnctl/fnctl/platform"
)

// simulationResult is what "fnctl simulate -o json" prints. Its fields are an interface that scripts use.
type simulationResult struct {
	// Config is the file of the configuration, "" for the defaults.
	Config string                `json:"config"`
	Trace  string                `json:"trace"`
	Size   int64                 `json:"instance_bytes"`
	Runs   []simulatedRun        `json:"runs"`
	shows  autoscaler.Simulation // what has rows in the table
}

// simulatedRun is what came of one way to scale.
type simulatedRun struct {
	Name  string         `json:"name"`
	Total simulatedPoint `json:"total"`
	// PeakMemory and MeanMemory are of all instances, if each of them always takes as much.
	PeakMemory int64            `json:"peak_bytes"`
	MeanMemory int64            `json:"mean_bytes"`
	Points     []simulatedPoint `json:"points"`
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

	Standby            int     `json:"standby"`
	StandbySeconds     float64 `json:"standby_seconds"`
	Resident           int     `json:"resident"`
	Evictions          int     `json:"evictions"`
	Wakes              int     `json:"wakes"`
	PoisedStarts       int     `json:"poised_starts"`
	ArmedStarts        int     `json:"armed_starts"`
	WakeQueueSeconds   float64 `json:"wake_queue_seconds"`
	PoisedQueueSeconds float64 `json:"poised_queue_seconds"`
	ArmedQueueSeconds  float64 `json:"armed_queue_seconds"`
}

// newRun sums up a simulation of instances of a size, in bytes.
func newRun(name string, points []autoscaler.Point, size int64) simulatedRun {
	total := autoscaler.Total(points)
	run := simulatedRun{Name: name, Total: simulatedPoint(total), PeakMemory: int64(total.Resident) * size}
	if len(points) > 0 {
		run.MeanMemory = int64((total.InstanceSeconds + total.StandbySeconds) / float64(len(points)) * float64(size))
	}
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
	for _, run := range r.Runs {
		header = append(header, run.Name)
	}
	t.AppendHeader(header)
	for _, total := range r.totals() {
		row := table.Row{total.name}
		for _, run := range r.Runs {
			row = append(row, total.cell(run))
		}
		t.AppendRow(row)
	}
	t.Render()
}

// simulatedTotal is a row of the table.
type simulatedTotal struct {
	name string
	cell func(simulatedRun) string
}

// totals are the rows. How instances came to be ready is told where there is more than one way, and memory where some is kept.
func (r simulationResult) totals() []simulatedTotal {
	standby, poised := r.shows.Standby > 0, r.shows.Poised
	var rows []simulatedTotal
	add := func(show bool, name, format string, value func(simulatedRun) any) {
		if show {
			rows = append(rows, simulatedTotal{name, func(run simulatedRun) string { return fmt.Sprintf(format, value(run)) }})
		}
	}
	add(true, "Requests", "%d", func(r simulatedRun) any { return r.Total.Arrivals })
	add(true, "Cold starts", "%d", func(r simulatedRun) any { return r.Total.ColdStarts })
	add(standby, "Instances woken", "%d", func(r simulatedRun) any { return r.Total.Wakes })
	add(poised, "Instances started, poised", "%d", func(r simulatedRun) any { return r.Total.PoisedStarts })
	add(standby || poised, "Instances started, armed", "%d", func(r simulatedRun) any { return r.Total.ArmedStarts })
	add(standby, "Instances evicted", "%d", func(r simulatedRun) any { return r.Total.Evictions })
	add(true, "Queue time (request-seconds)", "%.1f", func(r simulatedRun) any { return r.Total.QueueSeconds })
	add(standby, "… for one that was woken", "%.3f", func(r simulatedRun) any { return r.Total.WakeQueueSeconds })
	add(poised, "… for one that was poised", "%.3f", func(r simulatedRun) any { return r.Total.PoisedQueueSeconds })
	add(standby || poised, "… for one that was armed", "%.3f", func(r simulatedRun) any { return r.Total.ArmedQueueSeconds })
	add(true, "Instance-seconds", "%.0f", func(r simulatedRun) any { return r.Total.InstanceSeconds })
	add(standby, "… and in standby", "%.0f", func(r simulatedRun) any { return r.Total.StandbySeconds })
	add(true, "Most instances", "%d", func(r simulatedRun) any { return r.Total.Ready })
	add(standby, "Peak memory", "%s", func(r simulatedRun) any { return platform.ByteSize(r.PeakMemory) })
	add(standby, "Mean memory", "%s", func(r simulatedRun) any { return platform.ByteSize(r.MeanMemory) })
	return rows
}
