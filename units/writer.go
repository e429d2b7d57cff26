package units

import (
	"fmt"
	"strings"
)

// writer collects the text of a unit. Values come escaped: the three methods are the only way into the text.
type writer struct{ b strings.Builder }

// comment writes why the next directive is there, for readers of the unit on the machine.
func (w *writer) comment(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		w.b.WriteString("# " + line + "\n")
	}
}

func (w *writer) section(name string) {
	if w.b.Len() > 0 {
		w.b.WriteByte('\n')
	}
	fmt.Fprintf(&w.b, "[%s]\n", name)
}

func (w *writer) set(key, value string) { fmt.Fprintf(&w.b, "%s=%s\n", key, value) }

// all writes several directives that need no reason of their own.
func (w *writer) all(directives ...string) {
	for _, d := range directives {
		w.b.WriteString(d + "\n")
	}
}

func (w *writer) String() string { return w.b.String() }
