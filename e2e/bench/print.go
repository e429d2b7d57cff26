//go:build e2e

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

func printResults(w io.Writer, results []result, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(results)
	}
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"Measure", "Ours", "Peer", "Ratio", "Target", ""})
	for _, r := range results {
		t.AppendRow(table.Row{r.Measure, r.Ours.in(r.Unit), r.peer(), r.ratio(), r.Target, r.verdict()})
	}
	t.Render()
	return nil
}

// in writes the median with its unit, and the extremes if there were several rounds.
func (s spread) in(unit string) string {
	if len(s.Rounds) == 1 {
		return digits(s.Median) + " " + unit
	}
	return fmt.Sprintf("%s %s (%s..%s)", digits(s.Median), unit, digits(s.Min), digits(s.Max))
}

// digits writes a number as precisely as it is worth.
func digits(v float64) string {
	switch {
	case math.Abs(v) < 1:
		return fmt.Sprintf("%.3f", v)
	case math.Abs(v) < 10:
		return fmt.Sprintf("%.2f", v)
	case math.Abs(v) < 1000:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func (r result) peer() string {
	if r.Peer == nil {
		return ""
	}
	cell := r.PeerName + ": " + r.Peer.in(r.Unit)
	for _, o := range r.Others {
		cell += "\n" + o.Name + ": " + o.Spread.in(r.Unit)
	}
	return cell
}

func (r result) ratio() string {
	if r.Ratio == 0 {
		return ""
	}
	cell := fmt.Sprintf("%.2f", r.Ratio)
	for _, o := range r.Others {
		cell += fmt.Sprintf("\n%.2f", o.Ratio)
	}
	return cell
}

func (r result) verdict() string {
	switch {
	case r.OK == nil:
		return ""
	case *r.OK:
		return "ok"
	}
	return "miss"
}
