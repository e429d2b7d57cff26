package cli

import (
	"fmt"
	"strings"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
)

// Copying returns what shows on a terminal how far the copy of an app is; elsewhere it is nil.
func (p *progress) Copying() func(done, total snapshot.Amount) {
	if p.spinner == nil {
		return nil
	}
	step := p.step
	return func(done, total snapshot.Amount) {
		p.spinner.Lock() // under which it reads the step
		defer p.spinner.Unlock()
		p.step = step + " " + copyBar(done, total)
	}
}

// barWidth leaves room for the rest in a line of 80 columns: one that wraps cannot be taken back.
const barWidth = 16

func copyBar(done, total snapshot.Amount) string {
	filled := barWidth
	if total.Bytes > 0 {
		filled = int(barWidth * done.Bytes / total.Bytes)
	}
	return fmt.Sprintf("%s%s %d/%d files, %s/%s", strings.Repeat("█", filled), strings.Repeat("░", barWidth-filled),
		done.Files, total.Files, platform.ByteSize(done.Bytes), platform.ByteSize(total.Bytes))
}
