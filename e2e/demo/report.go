//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// row is one thing that was shown.
type row struct {
	what, measured, expected string
	ok                       bool
}

// check notes what was measured, what was expected, and whether it came so.
func (d *demo) check(what, measured, expected string, ok bool) {
	d.rows = append(d.rows, row{what, measured, expected, ok})
}

// report prints everything that was shown. The error says that not all of it was as expected.
func (d *demo) report(ctx context.Context) error {
	refused, all := d.refused.Load(), d.requests.Load()
	d.check("requests refused, all in all", fmt.Sprintf("%d of %d", refused, all), "none", refused == 0)

	d.heading("What you have seen", "Every instance is a service like any other: systemctl and journalctl are all the tools that it takes.")
	if err := d.run(ctx, "/", "systemctl", "list-units", "--no-pager", "--no-legend", "--plain", "fn-*@*"); err != nil {
		return err
	}
	t := table.NewWriter()
	t.SetOutputMirror(d.out)
	t.SetStyle(table.StyleRounded)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(table.Row{"What", "Measured", "Expected", "OK"})
	failed := 0
	for _, r := range d.rows {
		mark := "✓"
		if !r.ok {
			mark = "✗"
			failed++
		}
		t.AppendRow(table.Row{r.what, r.measured, r.expected, mark})
	}
	t.Render()
	d.step("done")
	if failed > 0 {
		return errors.New("not everything happened as expected")
	}
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }
