package wire

import "encoding/binary"

var (
	isTokenByte     = tableOf("!#$%&'*+-.^_`|~" + alphanumeric)
	isAuthorityByte = tableOf("-._~%!$&'()*+,;=:[]" + alphanumeric)
	isTextByte      = textTable()
	lower           = lowerTable()
)

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func tableOf(bytes string) (table [256]bool) {
	for i := range len(bytes) {
		table[bytes[i]] = true
	}
	return table
}

// textTable has what may be in the value of a field: everything but control bytes other than HTAB.
func textTable() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != 0x7f || c == '\t'
	}
	return table
}

func lowerTable() (table [256]byte) {
	for c := range table {
		table[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			table[c] += 'a' - 'A'
		}
	}
	return table
}

// IsToken reports whether b can be a method or the name of a field.
func IsToken(b []byte) bool { return len(b) > 0 && tokenLength(b) == len(b) }

// tokenLength returns how many bytes at the beginning of b make a token.
func tokenLength(b []byte) int {
	for i, c := range b {
		if !isTokenByte[c] {
			return i
		}
	}
	return len(b)
}

// IsFieldValue reports whether b has no bytes that must not be in the value of a field.
func IsFieldValue(b []byte) bool {
	if len(b) < 8 {
		return isText(b)
	}
	for rest := b; len(rest) > 8; rest = rest[8:] {
		if mayHaveControl(binary.LittleEndian.Uint64(rest)) && !isText(rest[:8]) {
			return false
		}
	}
	last := b[len(b)-8:]
	return !mayHaveControl(binary.LittleEndian.Uint64(last)) || isText(last)
}

// mayHaveControl looks at 8 bytes at a time for those below 0x20 and for 0x7f.
func mayHaveControl(word uint64) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	del := word ^ 0x7f*ones
	return ((word-' '*ones)&^word|(del-ones)&^del)&highs != 0
}

func isText(b []byte) bool {
	for _, c := range b {
		if !isTextByte[c] {
			return false
		}
	}
	return true
}

func isAuthority(b []byte) bool {
	for _, c := range b {
		if !isAuthorityByte[c] {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isSpace(c byte) bool { return c == ' ' || c == '\t' }

func trimSpace(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// equalFold compares without regard to the case of ASCII letters, which is all that the format knows.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if lower[c] != lower[s[i]] {
			return false
		}
	}
	return true
}
