package journal

import (
	"strings"
	"testing"
)

func TestStartsJudge(t *testing.T) {
	for events, want := range map[string]string{
		"start drain fail fail":             "start drain stop stop",
		"start ready drain fail":            "start ready drain fail",
		"start fail":                        "start fail",
		"start replace drain fail":          "start replace drain fail",
		"drain fail":                        "drain fail",
		"start drain fail start fail":       "start drain stop start fail",
		"start other:ready drain fail":      "start other:ready drain stop",
		"start drain other:fail fail":       "start drain other:fail stop",
		"start drain stop start ready fail": "start drain stop start ready fail",
	} {
		judged, got := starts{}, []string{}
		for _, word := range strings.Fields(events) {
			instance, event, of := strings.Cut(word, ":")
			if !of {
				instance, event = "", word
			}
			e := judged.judge(Event{Event: event, Instance: "ping-00001@1" + instance})
			got = append(got, strings.TrimPrefix(instance+":"+e.Event, ":"))
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: got %s, want %s", events, got, want)
		}
	}
}
