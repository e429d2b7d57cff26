package wire

import "encoding/binary"

// Frames follows the frames of a WebSocket as their bytes pass, and so knows where one ends (RFC 6455, section 5.2). As JSON it
// can go on elsewhere.
type Frames struct {
	// Head is that of the frame that has begun, as far as it has come, and Left is what has not come of its payload.
	Head []byte `json:"head,omitempty"`
	Left uint64 `json:"left,omitempty"`
}

// Pass takes the next bytes.
func (f *Frames) Pass(p []byte) {
	for len(p) > 0 {
		if f.Left > 0 {
			n := min(f.Left, uint64(len(p)))
			f.Left -= n
			p = p[n:]
			continue
		}
		f.Head = append(f.Head, p[0])
		p = p[1:]
		if length, known := f.payload(); known {
			f.Left = length
			f.Head = f.Head[:0]
		}
	}
}

// Between reports whether the last frame has come to its end.
func (f *Frames) Between() bool { return f.Left == 0 && len(f.Head) == 0 }

// payload is the length of what follows the head, with the key of its mask if it has one. It is known once the head is whole.
func (f *Frames) payload() (length uint64, known bool) {
	if len(f.Head) < 2 {
		return 0, false
	}
	more := 0
	switch length = uint64(f.Head[1] & 0x7f); length {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if len(f.Head) < 2+more {
		return 0, false
	}
	switch more {
	case 2:
		length = uint64(binary.BigEndian.Uint16(f.Head[2:]))
	case 8:
		length = binary.BigEndian.Uint64(f.Head[2:])
	}
	if f.Head[1]&0x80 != 0 {
		length += 4
	}
	return length, true
}
