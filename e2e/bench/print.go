//go:build e2e

package main

import (
	"encoding/json"
	"fmt"
	"io"

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
		return fmt.Sprintf("%.1f %s", s.Median, unit)
	}
	return fmt.Sprintf("%.1f %s (%.1f..%.1f)", s.Median, unit, s.Min, s.Max)
}

func (r result) peer() string {
	if r.Peer == nil {
		return ""
	}
	return r.PeerName + ": " + r.Peer.in(r.Unit)
}

func (r result) ratio() string {
	if r.Ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", r.Ratio)
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
