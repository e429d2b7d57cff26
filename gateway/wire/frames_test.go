package wire

import (
	"bytes"
	"testing"
)

// A frame of 5, 300 and 70,000 bytes and a masked one, whatever pieces they come in.
func TestFrames(t *testing.T) {
	var stream []byte
	ends := map[int]bool{0: true}
	add := func(head []byte, payload int) {
		stream = append(append(stream, head...), make([]byte, payload)...)
		ends[len(stream)] = true
	}
	add([]byte{0x81, 5}, 5)
	add([]byte{0x89, 0}, 0)
	add([]byte{0x82, 126, 1, 44}, 300)
	add([]byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70}, 70000)
	add([]byte{0x82, 0x80 | 3}, 4+3)
	for _, piece := range []int{1, 2, 3, 7, 1000, len(stream)} {
		var f Frames
		for at := 0; at < len(stream); {
			n := min(piece, len(stream)-at)
			f.Pass(stream[at : at+n])
			if at += n; f.Between() != ends[at] {
				t.Fatalf("pieces of %d: after %d bytes between is %v", piece, at, f.Between())
			}
		}
	}
}

// How the stream is cut makes no difference.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x81, 2, 'h', 'i', 0x88, 0}, 3)
	f.Add(bytes.Repeat([]byte{0x82, 127, 0xff}, 9), 1)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		cut = max(0, min(cut, len(stream)))
		var whole, pieces Frames
		whole.Pass(stream)
		pieces.Pass(stream[:cut])
		pieces.Pass(stream[cut:])
		if whole.Between() != pieces.Between() || whole.Left != pieces.Left {
			t.Errorf("cut at %d: %+v, else %+v", cut, pieces, whole)
		}
	})
}
