package keys

import (
	"bytes"
	"io"
	"os"
	"unicode/utf8"
)

// MaxFileSize bounds a file, in bytes.
const MaxFileSize = 1 << 20

// ReadFile reads a file, or just enough of it to see that it is too large, which CheckText then reports.
func ReadFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxFileSize+1))
}

// CheckText returns where and why a file is no text that can be read: it is larger than 1 MiB, or not UTF-8. The problem is
// "" if it is one.
func CheckText(data []byte) (line, column int, problem string) {
	if len(data) > MaxFileSize {
		return 1, 1, "the file is larger than 1 MiB"
	}
	if line, column, invalid := invalidUTF8(data); invalid {
		return line, column, "the file must be UTF-8 text"
	}
	return 0, 0, ""
}

func invalidUTF8(data []byte) (line, column int, invalid bool) {
	if utf8.Valid(data) {
		return 0, 0, false
	}
	rest := data
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			break
		}
		rest = rest[size:]
	}
	before := data[:len(data)-len(rest)]
	start := bytes.LastIndexByte(before, '\n') + 1
	return bytes.Count(before, []byte("\n")) + 1, utf8.RuneCount(before[start:]) + 1, true
}
