package wire

// MaxFields bounds the fields of a message, and MaxOptions what its Connection fields name: so they bound what it costs to look at
// each, and to leave out those that are named.
const (
	MaxFields  = 256
	MaxOptions = 64
)

// Field is a line of a head or a trailer. It points into the bytes that were parsed.
type Field struct {
	Name  []byte
	Value []byte // without white space around it
}

// Is reports whether the field has the name, in whatever case.
func (f Field) Is(name string) bool { return equalFold(f.Name, name) }

// parseFields reads lines up to the empty one, with which text must end.
func parseFields(fields []Field, text []byte) ([]Field, error) {
	for {
		line, rest, err := cutLine(text)
		if err != nil {
			return fields, err
		}
		if len(line) == 0 {
			return fields, checkNothingLeft(rest)
		}
		if len(fields) == MaxFields {
			return fields, tooMany()
		}
		fields = append(fields, Field{})
		if err := fields[len(fields)-1].parse(line); err != nil {
			return fields, err
		}
		text = rest
	}
}

// CheckFields returns what is wrong with the fields of a head that was not parsed but came in another version of HTTP: their number, or
// that of the options of Connection. The error is an *Error.
func CheckFields(fields []Field) error {
	if len(fields) > MaxFields {
		return tooMany()
	}
	var g general
	for _, f := range fields {
		if f.Is("connection") {
			if err := g.readConnection(f.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

func tooMany() error { return &Error{Status: statusFieldsTooLarge, Text: "too many fields"} }

func checkNothingLeft(rest []byte) error {
	if len(rest) > 0 {
		return bad("something follows the empty line")
	}
	return nil
}

func (f *Field) parse(line []byte) error {
	n := tokenLength(line)
	if n == 0 && isSpace(line[0]) {
		return bad("a folded line")
	}
	if n == 0 || n == len(line) || line[n] != ':' {
		return bad("malformed name of a field")
	}
	f.Name, f.Value = line[:n:n], trimSpace(line[n+1:])
	if !IsFieldValue(f.Value) {
		return bad("control bytes in the value of a field")
	}
	return nil
}

// HopByHop reports whether a field of this name is about the connection over which it came, and is not sent on. The fields that
// Connection names are of that kind, too, and not known here.
func HopByHop(name []byte) bool {
	switch len(name) {
	case len("te"):
		return equalFold(name, "te")
	case len("upgrade"):
		return equalFold(name, "upgrade")
	case len("connection"):
		return equalFold(name, "connection") || equalFold(name, "keep-alive")
	case len("proxy-connection"):
		return equalFold(name, "proxy-connection")
	case len("transfer-encoding"):
		return equalFold(name, "transfer-encoding")
	case len("proxy-authenticate"):
		return equalFold(name, "proxy-authenticate")
	case len("proxy-authorization"):
		return equalFold(name, "proxy-authorization")
	default:
		return false
	}
}

// notInTrailer are fields that say how a message is to be read, routed, or trusted, which must be known before its content
// (RFC 9110, 6.5.1).
var notInTrailer = []string{
	"authorization", "cache-control", "content-encoding", "content-length", "content-range", "content-type", "cookie",
	"expect", "host", "max-forwards", "pragma", "range", "set-cookie", "trailer",
}

func mayBeInTrailer(name []byte) bool {
	for _, other := range notInTrailer {
		if equalFold(name, other) {
			return false
		}
	}
	return !HopByHop(name)
}
