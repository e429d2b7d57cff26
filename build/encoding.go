package build

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/fnctl/fnctl/platform"
)

var (
	utf8Mark  = []byte{0xEF, 0xBB, 0xBF}
	utf16Mark = map[string]binary.ByteOrder{"\xFF\xFE": binary.LittleEndian, "\xFE\xFF": binary.BigEndian}
	// codingComment is a comment in one of the first two lines that names the encoding of the file (PEP 263).
	codingComment = regexp.MustCompile(`^#.*?coding[:=]\s*([-\w.]+)`)
)

// decodeRequirements decodes a file of requirements as pip does (pip/_internal/utils/encoding.py, auto_decode): by its byte order mark,
// by a comment that names the encoding, or else as UTF-8. Names of packages are ASCII: of other encodings, which a comment names,
// it is enough that they contain ASCII, and each byte is taken for a letter of Latin-1.
func decodeRequirements(data []byte) (string, error) {
	if rest, is := bytes.CutPrefix(data, utf8Mark); is {
		return checkUTF8(rest)
	}
	for mark, order := range utf16Mark {
		if rest, is := bytes.CutPrefix(data, []byte(mark)); is {
			return decodeUTF16(rest, order)
		}
	}
	for i, line := range bytes.SplitN(data, []byte("\n"), 3) {
		if coding := codingComment.FindSubmatch(line); coding != nil && i < 2 {
			if name := strings.ToLower(string(coding[1])); strings.HasPrefix(name, "utf-8") || name == "utf8" {
				break
			}
			return latin1(data), nil
		}
	}
	return checkUTF8(data)
}

func checkUTF8(data []byte) (string, error) {
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return "", errEncoding(errors.New("it has a null byte"))
	}
	if !utf8.Valid(data) {
		return "", errEncoding(errors.New("it is not UTF-8"))
	}
	return string(data), nil
}

func decodeUTF16(data []byte, order binary.ByteOrder) (string, error) {
	if len(data)%2 != 0 {
		return "", errEncoding(errors.New("it is not UTF-16, as its beginning says"))
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	text := string(utf16.Decode(units))
	if strings.ContainsAny(text, "\x00\uFFFD") { // as UTF-32 has, which begins like UTF-16
		return "", errEncoding(errors.New("it is not UTF-16, as its beginning says"))
	}
	return text, nil
}

func latin1(data []byte) string {
	runes := make([]rune, len(data))
	for i, b := range data {
		runes[i] = rune(b)
	}
	return string(runes)
}

func errEncoding(err error) error {
	return platform.WithHint(fmt.Errorf("its encoding cannot be told: %w", err), "save it as UTF-8")
}

// endsOfLines makes one of all that Python's str.splitlines takes for it.
var endsOfLines = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\v", "\n", "\f", "\n", "\x1c", "\n", "\x1d", "\n", "\x1e", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// requirementLine is a line of a file of requirements, of which several may be one in the file.
type requirementLine struct {
	number int // of the first, from 1
	text   string
}

// splitRequirements splits a file into lines as pip does: at all ends of lines that there are, and a line that ends with a backslash
// goes on in the next one, unless it is a comment.
func splitRequirements(text string) (lines []requirementLine) {
	text = endsOfLines.Replace(text)
	joined := requirementLine{}
	for i, line := range strings.Split(text, "\n") {
		if joined.number == 0 {
			joined.number = i + 1
		}
		before, goesOn := strings.CutSuffix(line, `\`)
		if goesOn && !requirementComment.MatchString(line) {
			joined.text += before
			continue
		}
		joined.text += line
		lines = append(lines, joined)
		joined = requirementLine{}
	}
	if joined.number > 0 {
		lines = append(lines, joined)
	}
	return lines
}
