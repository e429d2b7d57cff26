package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/briandowns/spinner"

	"github.com/fnctl/fnctl/platform"
)

// progress shows the steps of long work on stderr: a spinner with the elapsed time on a terminal, and in either case one
// line for each step that is done.
type progress struct {
	w       io.Writer
	spinner *spinner.Spinner
	step    string
	doing   string // what the step does now; the spinner's lock guards it
	started time.Time
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if isTerminal(w) {
		p.spinner = spinner.New(spinner.CharSets[14], 100*time.Millisecond, spinner.WithWriter(raw(w)))
		p.spinner.PreUpdate = func(s *spinner.Spinner) {
			s.Suffix = fmt.Sprintf(" %s (%.1fs)%s", p.step, time.Since(p.started).Seconds(), p.doing)
		}
	}
	return p
}

// Step implements deploy.Progress: it does one step. done says what came of it, after it has succeeded.
func (p *progress) Step(step string, do func() (done string, err error)) error {
	p.step, p.started, p.doing = step, time.Now(), ""
	if p.spinner != nil {
		p.spinner.Start()
	}
	done, err := do()
	if p.spinner != nil {
		p.spinner.Stop()
	}
	mark := "✓"
	if err != nil {
		mark, done = "✗", step
	}
	fmt.Fprintf(p.w, "%s %s (%.1fs)\n", mark, done, time.Since(p.started).Seconds())
	return err
}

// Detail says what the step that runs is doing: beside the spinner, or else on a line of its own.
func (p *progress) Detail(text string) {
	if p.spinner == nil {
		p.Note("%s", text)
		return
	}
	p.spinner.Lock()
	defer p.spinner.Unlock()
	const width = 60 // a line that wraps cannot be taken back
	p.doing = ": " + fmt.Sprintf("%.*s", width, platform.Printable(text))
}

// Note prints a line between the steps.
func (p *progress) Note(format string, args ...any) {
	fmt.Fprintf(p.w, "  "+format+"\n", args...)
}

// Warn prints what makes the outcome incomplete.
func (p *progress) Warn(err error) { printWarning(p.w, err) }
