package units

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrText is wrapped by errors about a text that no unit or environment file can carry.
var ErrText = errors.New("text cannot be represented")

// quote writes a string as one word of a unit file: systemd's C-style quoting, with the specifier sign doubled
// (systemd.syntax(7), "Quoting", and systemd.unit(5), "Specifiers").
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '%':
			b.WriteString("%%")
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// quoteArg writes a string as one argument of a command line, where systemd also expands variables (systemd.service(5),
// "Command lines").
func quoteArg(s string) string {
	if isPlain(s) {
		return s
	}
	return strings.ReplaceAll(quote(s), "$", "$$")
}

// isPlain reports whether a string means itself in a command line, so that most of them read as the user wrote them.
func isPlain(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/._-=:,+", c) >= 0 {
			continue
		}
		return false
	}
	return s != ""
}

// checkText refuses what systemd would drop or cut: it ends a string at NUL and ignores lines that are not UTF-8.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: not valid UTF-8", ErrText)
	}
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("%w: it has a NUL byte", ErrText)
	}
	return nil
}
