package wire

// Framing is how the end of the content of a message is known. Framings can be compared.
type Framing struct {
	kind   framingKind
	length int64
}

type framingKind uint8

const (
	framedByNone framingKind = iota
	framedByLength
	framedByChunks
	framedByClose
)

// None is the framing of a message that cannot have content, and says nothing about it.
func None() Framing { return Framing{} }

// Length is the framing of content with n bytes. Length(0) is not None(): the head says it.
func Length(n int64) Framing { return Framing{kind: framedByLength, length: n} }

// Chunked is the framing of content that says itself where it ends.
func Chunked() Framing { return Framing{kind: framedByChunks} }

// UntilClose is the framing of content that ends with its connection.
func UntilClose() Framing { return Framing{kind: framedByClose} }

func (f Framing) IsNone() bool       { return f.kind == framedByNone }
func (f Framing) IsChunked() bool    { return f.kind == framedByChunks }
func (f Framing) IsUntilClose() bool { return f.kind == framedByClose }

// Length returns the length of the content, which is known only if the head says it. It does not for None().
func (f Framing) Length() (n int64, known bool) { return f.length, f.kind == framedByLength }
