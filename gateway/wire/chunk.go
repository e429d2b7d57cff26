package wire

import (
	"bytes"
	"math"
	"slices"
)

// maxSizeLine bounds the line before a chunk, of which only the size is read.
const maxSizeLine = 4 << 10

// decode takes what is between the data of two chunks, or behind the last one. It reports whether it got on.
func (c *Content) decode() bool {
	var n int
	switch buf := c.reader.Buffered(); c.state {
	case inSize:
		n, c.err = c.decodeSize(buf)
	case inDataEnd:
		n, c.err = c.decodeDataEnd(buf)
	case inTrailer:
		n, c.err = c.decodeTrailer(buf)
	}
	c.reader.Discard(n)
	return n > 0
}

func (c *Content) decodeSize(buf []byte) (n int, err error) {
	buf = buf[:min(len(buf), maxSizeLine)]
	n = bytes.IndexByte(buf, '\n') + 1
	if n == 0 {
		if len(buf) == maxSizeLine {
			return 0, bad("the line of a chunk's size is too long")
		}
		return 0, nil
	}
	line, _, err := cutLine(buf[:n])
	if err != nil {
		return 0, err
	}
	if c.left, err = parseSizeLine(line, c.blanks); err != nil {
		return 0, err
	}
	c.state = inData
	if c.left == 0 {
		c.state = inTrailer
	}
	return n, nil
}

func parseSizeLine(line []byte, blanks bool) (size int64, err error) {
	digits := 0
	for digits < len(line) && hexValue[line[digits]] >= 0 {
		digits++
	}
	if digits == 0 || digits > 16 {
		return 0, bad("malformed size of a chunk")
	}
	rest := line[digits:]
	if blanks {
		rest = bytes.TrimLeft(rest, " \t")
	}
	if err := checkExtension(rest); err != nil {
		return 0, err
	}
	var n uint64
	for _, c := range line[:digits] {
		n = n<<4 | uint64(hexValue[c])
	}
	if n > math.MaxInt64 {
		return 0, bad("size of a chunk out of range")
	}
	return int64(n), nil
}

// checkExtension ignores what an extension says: extensions are for this hop, and none are in use.
func checkExtension(b []byte) error {
	if len(b) > 0 && (b[0] != ';' || !IsFieldValue(b)) {
		return bad("malformed size of a chunk")
	}
	return nil
}

func (c *Content) decodeDataEnd(buf []byte) (n int, err error) {
	end := buf[:min(len(buf), 2)]
	if !bytes.HasPrefix([]byte("\r\n"), end) {
		return 0, bad("a chunk does not end in CRLF")
	}
	if len(end) < 2 {
		return 0, nil
	}
	c.state = inSize
	return 2, nil
}

func (c *Content) decodeTrailer(buf []byte) (n int, err error) {
	limit := c.maxTrailer + len("\r\n")
	buf = buf[:min(len(buf), limit)]
	if n, c.scanned, err = HeadLength(buf, c.scanned); err != nil {
		return 0, err
	}
	if n == 0 {
		if len(buf) == limit {
			return 0, &Error{Status: statusFieldsTooLarge, Text: "the trailer is too long"}
		}
		return 0, nil
	}
	// The trailer is copied: what is in the reader is gone with the next message.
	c.text = append(c.text[:0], buf[:n]...)
	if c.trailer, err = parseFields(c.trailer, c.text); err != nil {
		c.trailer = c.trailer[:0]
		return 0, err
	}
	c.trailer = slices.DeleteFunc(c.trailer, func(f Field) bool { return !mayBeInTrailer(f.Name) })
	c.state = atEnd
	return n, nil
}

// hexValue is the value of a hexadecimal digit, -1 for other bytes.
var hexValue = hexTable()

func hexTable() (table [256]int8) {
	for c := range table {
		table[c] = -1
	}
	for value, c := range []byte("0123456789abcdef") {
		table[c] = int8(value)
	}
	for value, c := range []byte("ABCDEF") {
		table[c] = int8(10 + value)
	}
	return table
}
