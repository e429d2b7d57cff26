package doctor

import (
	"fmt"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// Verdict is how bad a finding is.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning" // what may not work one day
	Error   Verdict = "error"   // what does not work
)

// Finding is what "fnctl doctor -o json" prints of each thing. Its fields are an interface that scripts use.
type Finding struct {
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	Text    string  `json:"text"`
	// Remedy says what to do.
	Remedy string `json:"remedy,omitempty"`
}

// examination makes the checks one after the other and gathers what they find.
type examination struct {
	store    platform.Store
	units    *systemd.Manager
	check    string // that is being made
	findings []Finding
}

func (e *examination) ok(format string, args ...any) { e.add(OK, "", format, args) }

func (e *examination) warn(remedy, format string, args ...any) {
	e.add(Warning, remedy, format, args)
}

func (e *examination) fail(remedy, format string, args ...any) {
	e.add(Error, remedy, format, args)
}

func (e *examination) add(verdict Verdict, remedy, format string, args []any) {
	e.findings = append(e.findings, Finding{Check: e.check, Verdict: verdict, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// Count is how many findings have a verdict.
func Count(findings []Finding, verdict Verdict) int {
	n := 0
	for _, finding := range findings {
		if finding.Verdict == verdict {
			n++
		}
	}
	return n
}
