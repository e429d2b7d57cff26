package journal_test

import (
	"encoding/json"
	"testing"

	"github.com/fnctl/fnctl/journal"
)

func TestRaw(t *testing.T) {
	for data, want := range map[string]string{
		`"text"`: "text", `[83,116,114,97,223,101,0,27]`: "Stra\xdfe\x00\x1b", `["one","two"]`: "two", `[[1,2],[51,52]]`: "34",
		`["one",[51]]`: "3", `null`: "", `[]`: "", `""`: "",
	} {
		var got journal.Raw
		if err := json.Unmarshal([]byte(data), &got); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", data, got, err, want)
		}
	}
	for _, data := range []string{`{}`, `[{}]`, `1`, `true`} {
		var got journal.Raw
		if err := json.Unmarshal([]byte(data), &got); err == nil {
			t.Errorf("%s: got %q", data, got)
		}
	}
}
