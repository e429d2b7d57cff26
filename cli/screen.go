package cli

import (
	"io"

	"github.com/fnctl/fnctl/platform"
)

// screen is an output for people. Much of what is printed was written by others, such as the last lines of an app or the path of a
// request: none of it commands the terminal. Each write has whole characters.
type screen struct{ unescaped io.Writer }

func (s screen) Write(p []byte) (int, error) {
	_, err := io.WriteString(s.unescaped, platform.Printable(string(p)))
	return len(p), err
}

// raw is the output behind a screen, for what is no text for people: JSON, which escapes by itself, files, the body of a response,
// and what was escaped already.
func raw(w io.Writer) io.Writer {
	if s, ok := w.(screen); ok {
		return s.unescaped
	}
	return w
}
