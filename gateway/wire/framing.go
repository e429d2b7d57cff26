package wire

// Framing is how one knows where the content of a message ends. It can be compared.
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

// None is of a message that cannot have content, and says nothing about it.
func None() Framing { return Framing{} }

// Length is of content with so many bytes. Length(0) is not None(): it is said in the head.
func Length(n int64) Framing { return Framing{kind: framedByLength, length: n} }

// Chunked is of content that says itself where it ends.
func Chunked() Framing { return Framing{kind: framedByChunks} }

// UntilClose is of content that ends with its connection.
func UntilClose() Framing { return Framing{kind: framedByClose} }

func (f Framing) IsNone() bool       { return f.kind == framedByNone }
func (f Framing) IsChunked() bool    { return f.kind == framedByChunks }
func (f Framing) IsUntilClose() bool { return f.kind == framedByClose }

// Length is known only if the head says it, which it does not for None().
func (f Framing) Length() (n int64, known bool) { return f.length, f.kind == framedByLength }
