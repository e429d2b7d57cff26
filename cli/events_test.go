package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/journal"
)

func TestPrintEvents(t *testing.T) {
	list := []journal.Event{{Time: time.Unix(0, 0), Event: "scale", Revision: "ping-00001", Why: "0 → 1; <why>"}}
	for _, c := range []struct {
		name    string
		printer eventPrinter
		want    string
	}{
		{"table", eventPrinter{}, "│ scale │ ping-00001           │ 0 → 1; <why> │"},
		{"lines", eventPrinter{follow: true}, "  scale   ping-00001           0 → 1; <why>\n"},
		{"json", eventPrinter{json: true}, `{"time":"` + list[0].Time.Format(time.RFC3339Nano) + `","event":"scale","function":"","revision":"ping-00001","why":"0 → 1; <why>"}` + "\n"},
	} {
		var b strings.Builder
		c.printer.w = &b
		if err := c.printer.past(list); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), c.want) {
			t.Errorf("%s: got\n%s\nwant %s", c.name, b.String(), c.want)
		}
	}
}
