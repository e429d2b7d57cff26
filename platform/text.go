package platform

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plural counts things: "1 file", "2 files".
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// ByteSize writes a number of bytes for people: "1.5 MB".
func ByteSize(n int64) string {
	const unit = 1000
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefixes := float64(n)/unit, "kMGT"
	for value >= unit && len(prefixes) > 1 {
		value, prefixes = value/unit, prefixes[1:]
	}
	return fmt.Sprintf("%.1f %cB", value, prefixes[0])
}

// LastLines returns the last lines of a text, on one line.
func LastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}

// CompareNatural orders names so that ping-00001@2 comes before ping-00001@10.
func CompareNatural(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Line is a line that a program has written, as a terminal would leave it: after a carriage return it is written anew, as progress bars
// are. What is no UTF-8 is replaced; other control characters stay.
func Line(text string) string {
	text = strings.TrimRight(text, "\r")
	text = text[strings.LastIndexByte(text, '\r')+1:]
	return strings.ToValidUTF8(text, string(utf8.RuneError))
}

// Printable makes a text fit for a terminal, whoever has written it: what is not a graphic character, such as the escape that
// begins a command to the terminal, or what turns the direction of writing, is written as in a Go string: \x1b. Line feeds
// and tabs stay.
func Printable(text string) string {
	var b strings.Builder
	from := 0 // what was not copied yet begins here
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		invalid := r == utf8.RuneError && size == 1
		if invalid || !unicode.IsGraphic(r) && r != '\n' && r != '\t' {
			b.WriteString(text[from:i])
			escaped := strconv.QuoteToASCII(text[i : i+size])
			b.WriteString(escaped[1 : len(escaped)-1])
			from = i + size
		}
		i += size
	}
	if from == 0 {
		return text
	}
	return b.String() + text[from:]
}
