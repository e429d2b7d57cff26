package wire

import "encoding/binary"

// Frames follows the frames of a WebSocket as their bytes pass, and so knows where one ends (RFC 6455, section 5.2).
type Frames struct {
	head []byte // of the frame that has begun, as far as it has come
	left uint64 // of its payload
}

// Pass takes the next bytes.
func (f *Frames) Pass(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left -= n
			p = p[n:]
			continue
		}
		f.head = append(f.head, p[0])
		p = p[1:]
		if length, known := f.payload(); known {
			f.left = length
			f.head = f.head[:0]
		}
	}
}

// Between reports whether the last frame has come to its end.
func (f *Frames) Between() bool { return f.left == 0 && len(f.head) == 0 }

// payload is the length of what follows the head, with the key of its mask if it has one. It is known once the head is whole.
func (f *Frames) payload() (length uint64, known bool) {
	if len(f.head) < 2 {
		return 0, false
	}
	more := 0
	switch length = uint64(f.head[1] & 0x7f); length {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if len(f.head) < 2+more {
		return 0, false
	}
	switch more {
	case 2:
		length = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 8:
		length = binary.BigEndian.Uint64(f.head[2:])
	}
	if f.head[1]&0x80 != 0 {
		length += 4
	}
	return length, true
}
