package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	well    = "" // the proper end
	early   = "unexpected end"
	bad     = "bad"
	tooLong = "too long"
)

// chunked is content by what is right or wrong with it: what is decoded, how it ends, and what is left.
var chunked = map[string]struct {
	in, data, end, trailer string
	rest                   int
}{
	"empty":                         {in: "0\r\n\r\n"},
	"one":                           {in: "5\r\nhello\r\n0\r\n\r\n", data: "hello"},
	"two":                           {in: "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", data: "hello world"},
	"next message":                  {in: "5\r\nhello\r\n0\r\n\r\nGET /", data: "hello", rest: 5},
	"capitals":                      {in: "A\r\n0123456789\r\n0\r\n\r\n", data: "0123456789"},
	"small letters":                 {in: "a\r\n0123456789\r\n0\r\n\r\n", data: "0123456789"},
	"zeros":                         {in: "0000000000000005\r\nhello\r\n000\r\n\r\n", data: "hello"},
	"CRLF in data":                  {in: "4\r\n\r\n\r\n\r\n0\r\n\r\n", data: "\r\n\r\n"},
	"extensions":                    {in: "5;a\r\nhello\r\n5;a=b;c=\"d e\" \t; f\r\nhello\r\n0;g\r\n\r\n", data: "hellohello"},
	"longest extension":             {in: "5;" + strings.Repeat("a", 4092) + "\r\nhello\r\n0\r\n\r\n", data: "hello"},
	"trailer":                       {in: "0\r\nA: b\r\nc:d \r\n\r\nGET", trailer: "A=b,c=d", rest: 3},
	"longest trailer":               {in: "0\r\nA: " + strings.Repeat("b", 59) + "\r\n\r\n", trailer: "A=" + strings.Repeat("b", 59)},
	"fields that must not be there": {in: "0\r\nHost: b\r\ncontent-length: 5\r\nx: y\r\nTE: a\r\nKeep-Alive: b\r\n\r\n", trailer: "x=y"},

	"nothing":                   {in: "", end: early},
	"end in size":               {in: "5", end: early},
	"end in size line":          {in: "5\r", end: early},
	"end after size line":       {in: "5\r\n", end: early},
	"end in data":               {in: "5\r\nhel", data: "hel", end: early},
	"end after data":            {in: "5\r\nhello", data: "hello", end: early},
	"end between CR and LF":     {in: "5\r\nhello\r", data: "hello", end: early},
	"end before last chunk":     {in: "5\r\nhello\r\n", data: "hello", end: early},
	"end before trailer":        {in: "0\r\n", end: early},
	"end in trailer":            {in: "0\r\nA: b\r\n", end: early},
	"end in empty line":         {in: "0\r\n\r", end: early},
	"no size":                   {in: "\r\nhello\r\n0\r\n\r\n", end: bad},
	"no size and no data":       {in: "\r\n\r\n", end: bad},
	"no size but extension":     {in: ";a\r\n\r\n", end: bad},
	"no digit":                  {in: "g\r\nhello\r\n0\r\n\r\n", end: bad},
	"prefix":                    {in: "0x5\r\nhello\r\n0\r\n\r\n", end: bad},
	"plus":                      {in: "+5\r\nhello\r\n0\r\n\r\n", end: bad},
	"minus":                     {in: "-5\r\nhello\r\n0\r\n\r\n", end: bad},
	"underscore":                {in: "0_5\r\nhello\r\n0\r\n\r\n", end: bad},
	"space before size":         {in: " 5\r\nhello\r\n0\r\n\r\n", end: bad},
	"space after size":          {in: "5 \r\nhello\r\n0\r\n\r\n", end: bad},
	"space before extension":    {in: "5 ;a\r\nhello\r\n0\r\n\r\n", end: bad},
	"more after size":           {in: "5 a\r\nhello\r\n0\r\n\r\n", end: bad},
	"17 digits":                 {in: "00000000000000005\r\nhello\r\n0\r\n\r\n", end: bad},
	"64 bits":                   {in: "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", end: bad},
	"sign bit":                  {in: "8000000000000005\r\nhello\r\n0\r\n\r\n", end: bad},
	"overflow to 5":             {in: "10000000000000005\r\nhello\r\n0\r\n\r\n", end: bad},
	"largest":                   {in: "7fffffffffffffff\r\nhello", data: "hello", end: early},
	"LF after size":             {in: "5\nhello\r\n0\r\n\r\n", end: bad},
	"CR after size":             {in: "5\rhello\r\n0\r\n\r\n", end: bad},
	"LF in extension":           {in: "5;a\nb\r\nhello\r\n0\r\n\r\n", end: bad},
	"CR in extension":           {in: "5;a\rb\r\nhello\r\n0\r\n\r\n", end: bad},
	"two CRs":                   {in: "5\r\r\nhello\r\n0\r\n\r\n", end: bad},
	"NUL in extension":          {in: "5;a\x00\r\nhello\r\n0\r\n\r\n", end: bad},
	"long extension":            {in: "5;" + strings.Repeat("a", 4093) + "\r\nhello\r\n0\r\n\r\n", end: bad},
	"endless extension":         {in: "5;" + strings.Repeat("a", 8192), end: bad},
	"LF after data":             {in: "5\r\nhello\n0\r\n\r\n", data: "hello", end: bad},
	"CR after data":             {in: "5\r\nhello\r0\r\n\r\n", data: "hello", end: bad},
	"something else after data": {in: "5\r\nhelloxx0\r\n\r\n", data: "hello", end: bad},
	"no end of data":            {in: "5\r\nhello0\r\n\r\n", data: "hello", end: bad},
	"more data than said":       {in: "4\r\nhello\r\n0\r\n\r\n", data: "hell", end: bad},
	"less data than said":       {in: "6\r\nhello\r\n0\r\n\r\n", data: "hello\r", end: bad},
	"LF as trailer":             {in: "0\r\n\n", end: bad},
	"LF after trailer":          {in: "0\r\nA: b\n\r\n", end: bad},
	"CR in trailer":             {in: "0\r\nA: b\rc\r\n\r\n", end: bad},
	"folded trailer":            {in: "0\r\nA: b\r\n c\r\n\r\n", end: bad},
	"malformed trailer":         {in: "0\r\nA : b\r\n\r\n", end: bad},
	"next message as trailer":   {in: "0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", end: bad},
	"long trailer":              {in: "0\r\nA: " + strings.Repeat("b", 60) + "\r\n\r\n", end: tooLong},
	"endless trailer":           {in: "0\r\nA: " + strings.Repeat("b", 100), end: tooLong},
	"too many trailer fields":   {in: "0\r\n" + strings.Repeat("a:\r\n", 257) + "\r\n", end: tooLong},
	"second message in chunks":  {in: "0\r\n0\r\n\r\n", end: bad},
}

// contents are what is fuzzed.
var contents = func() (all []string) {
	for _, test := range chunked {
		all = append(all, test.in)
	}
	return all
}()

const maxTrailer = 64

// decoded is what comes of reading content. It can be compared.
type decoded struct {
	data, end, trailer string
	rest               int
	done               bool
}

// decode reads content that arrives in pieces of one size, into pieces of another.
func decode(stream []byte, f wire.Framing, arrives, wanted int) (d decoded) {
	source := &pieces{rest: stream, size: arrives}
	reader := wire.Reader{Source: source}
	var c wire.Content
	c.Reset(&reader, f, maxTrailer)
	p := make([]byte, wanted)
	var data []byte
	for {
		n, err := c.Read(p)
		data = append(data, p[:n]...)
		if err != nil {
			d.end = endOf(err)
			break
		}
		if n == 0 {
			d.end = "nothing read"
			break
		}
	}
	d.data, d.done = string(data), c.Done()
	if d.end == well {
		d.rest = len(reader.Buffered()) + len(source.rest)
		d.trailer = formatFields(c.Trailer())
	}
	return d
}

func endOf(err error) string {
	var wrong *wire.Error
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return early
	case errors.Is(err, io.EOF):
		return well
	case errors.As(err, &wrong) && wrong.Status == 431:
		return tooLong
	case errors.As(err, &wrong) && wrong.Status == 400:
		return bad
	default:
		return err.Error()
	}
}

func formatFields(fields []wire.Field) string {
	var all []string
	for _, f := range fields {
		all = append(all, fmt.Sprintf("%s=%s", f.Name, f.Value))
	}
	return strings.Join(all, ",")
}

// pieces is a source from which no more than size bytes come at once.
type pieces struct {
	rest []byte
	size int
}

func (s *pieces) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.size)], s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// What servers put behind the size of a chunk is taken from them, and from nobody else.
func TestBlanksBehindSize(t *testing.T) {
	for in, want := range map[string]string{
		"5  \r\nhello\r\n0 \t\r\n\r\n":      well,
		"5 ;a=b\r\nhello\r\n0\r\n\r\n":      well,
		"5 5\r\nhello\r\n0\r\n\r\n":         bad,
		" 5\r\nhello\r\n0\r\n\r\n":          bad,
		"5\v\r\nhello\r\n0\r\n\r\n":         bad,
		"5 \rx\r\nhello\r\n0\r\n\r\n":       bad,
		"5 \nhello\r\n0\r\n\r\n":            bad,
		"5\r\nhello  \r\n0\r\n\r\n":         bad,
		" \r\nhello\r\n0\r\n\r\n":           bad,
		"5 \r\nhello\r\n0 x\r\n\r\n":        bad,
		"5 \r\nhello\r\n0 \r\nA: b\r\n\r\n": well,
	} {
		reader := wire.Reader{Source: strings.NewReader(in)}
		var c wire.Content
		c.Reset(&reader, wire.Chunked(), maxTrailer)
		c.AllowBlanks()
		data, err := io.ReadAll(&c)
		if err == nil {
			err = io.EOF
		}
		if got := endOf(err); got != want || got == well && string(data) != "hello" {
			t.Errorf("%q: got %q, %v", in, data, err)
		}
		c.Reset(&reader, wire.Chunked(), maxTrailer)
		reader.Reset(strings.NewReader("5 \r\nhello\r\n0\r\n\r\n"))
		if _, err := io.ReadAll(&c); endOf(err) != bad {
			t.Errorf("of the next message: %v", err)
		}
	}
}

// TestChunked cuts the content at every place.
func TestChunked(t *testing.T) {
	for name, test := range chunked {
		want := decoded{data: test.data, end: test.end, trailer: test.trailer, rest: test.rest, done: test.end == well}
		check := func(arrives, wanted int) {
			if got := decode([]byte(test.in), wire.Chunked(), arrives, wanted); got != want {
				t.Errorf("%s, in pieces of %d to pieces of %d:\n got %+v\nwant %+v", name, arrives, wanted, got, want)
			}
		}
		check(1<<20, 1<<20)
		for size := 1; size <= min(len(test.in), 40); size++ {
			check(size, 1<<20)
			check(1<<20, size)
			check(size, 3)
		}
	}
}

func TestChunkedInTwo(t *testing.T) {
	for name, test := range chunked {
		for cut := range min(len(test.in), 100) {
			var reader wire.Reader
			reader.Feed([]byte(test.in[:cut]))
			reader.Source = strings.NewReader(test.in[cut:])
			var c wire.Content
			c.Reset(&reader, wire.Chunked(), maxTrailer)
			data, err := io.ReadAll(&c)
			if err == nil {
				err = io.EOF
			}
			if string(data) != test.data || endOf(err) != test.end {
				t.Errorf("%s, cut at %d: got %q, %v", name, cut, data, err)
			}
		}
	}
}

func TestLength(t *testing.T) {
	for _, test := range []struct {
		in   string
		n    int64
		want decoded
	}{
		{"", 0, decoded{done: true}},
		{"hello", 0, decoded{rest: 5, done: true}},
		{"hello", 5, decoded{data: "hello", done: true}},
		{"hello world", 5, decoded{data: "hello", rest: 6, done: true}},
		{"hello", 6, decoded{data: "hello", end: early}},
		{"", 1, decoded{end: early}},
	} {
		for _, wanted := range []int{1, 3, 1 << 20} {
			for _, arrives := range []int{1, 3, 1 << 20} {
				if got := decode([]byte(test.in), wire.Length(test.n), arrives, wanted); got != test.want {
					t.Errorf("%q of %d: got %+v, want %+v", test.in, test.n, got, test.want)
				}
			}
		}
	}
}

func TestNoneAndUntilClose(t *testing.T) {
	if got, want := decode([]byte("hello"), wire.None(), 9, 9), (decoded{rest: 5, done: true}); got != want {
		t.Errorf("none: got %+v, want %+v", got, want)
	}
	if got, want := decode([]byte("hello"), wire.UntilClose(), 2, 9), (decoded{data: "hello", done: true}); got != want {
		t.Errorf("until close: got %+v, want %+v", got, want)
	}
}

// TestLargeContent goes to where it is wanted without the buffer, whatever is buffered already.
func TestLargeContent(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	buf := append(append(make([]byte, wire.ChunkRoom), data...), "  "...)
	chunks := wire.AppendLastChunk(bytes.Clone(wire.FrameChunk(buf, len(data))), nil)
	for _, test := range []struct {
		framing wire.Framing
		stream  []byte
		rest    int
	}{
		{wire.Length(int64(len(data))), append(bytes.Clone(data), "next"...), 4},
		{wire.Chunked(), append(chunks, "next"...), 4},
		{wire.UntilClose(), data, 0},
	} {
		for _, arrives := range []int{1000, 4096, 5000, 1 << 20} {
			got := decode(test.stream, test.framing, arrives, 32<<10)
			if got.data != string(data) || got.end != well || got.rest != test.rest {
				t.Errorf("%v in pieces of %d: got %d bytes, %q, %d left", test.framing, arrives, len(got.data), got.end, got.rest)
			}
		}
	}
}

// TestLargeContentAtOnce needs one Read, not one for each buffer.
func TestLargeContentAtOnce(t *testing.T) {
	reader := wire.Reader{Source: strings.NewReader(strings.Repeat("x", 16<<10))}
	var c wire.Content
	c.Reset(&reader, wire.Length(16<<10), maxTrailer)
	if n, err := c.Read(make([]byte, 12<<10)); n != 12<<10 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

// TestEndWithLastBytes reads from a source that has its error together with data.
func TestEndWithLastBytes(t *testing.T) {
	for in, framing := range map[string]wire.Framing{
		"5\r\nhello\r\n0\r\n\r\n": wire.Chunked(),
		"hello":                   wire.Length(5),
		"hello ":                  wire.UntilClose(),
	} {
		reader := wire.Reader{Source: iotest.DataErrReader(strings.NewReader(in))}
		var c wire.Content
		c.Reset(&reader, framing, maxTrailer)
		if data, err := io.ReadAll(&c); strings.TrimSpace(string(data)) != "hello" || err != nil || !c.Done() {
			t.Errorf("%q: got %q, %v", in, data, err)
		}
	}
}

// noMore fails the test if it is read.
type noMore struct{ t *testing.T }

func (s noMore) Read([]byte) (int, error) {
	s.t.Error("waited for more")
	return 0, io.EOF
}

func TestReadDoesNotWait(t *testing.T) {
	for _, in := range []string{"5\r\nhello\r\n1\r\n!", "5\r\nhello\r\n1\r\n!\r\n", "3\r\nhel\r\n3\r\nlo!", "6\r\nhello!\r\n00", "6\r\nhello!\r\n0\r\nA:"} {
		reader := wire.Reader{Source: noMore{t}}
		reader.Feed([]byte(in))
		var c wire.Content
		c.Reset(&reader, wire.Chunked(), maxTrailer)
		p := make([]byte, 100)
		if n, err := c.Read(p); string(p[:n]) != "hello!" || err != nil || c.Done() {
			t.Errorf("%q: got %q, %v, done: %v", in, p[:n], err, c.Done())
		}
	}
}

// TestDoneAtOnce means that the end is known without one more read.
func TestDoneAtOnce(t *testing.T) {
	for in, framing := range map[string]wire.Framing{
		"5\r\nhello\r\n0\r\n\r\nGET": wire.Chunked(),
		"helloGET":                   wire.Length(5),
	} {
		reader := wire.Reader{Source: noMore{t}}
		reader.Feed([]byte(in))
		var c wire.Content
		c.Reset(&reader, framing, maxTrailer)
		p := make([]byte, 5)
		if n, err := c.Read(p); string(p[:n]) != "hello" || err != nil || !c.Done() {
			t.Errorf("%q: got %q, %v, done: %v", in, p[:n], err, c.Done())
		}
		if n, err := c.Read(p); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("%q: then got %d, %v", in, n, err)
		}
		if string(reader.Buffered()) != "GET" {
			t.Errorf("%q: left %q", in, reader.Buffered())
		}
	}
}

// TestErrorsOfSource come as they are, and reading goes on behind them.
func TestErrorsOfSource(t *testing.T) {
	for _, framing := range []wire.Framing{wire.Length(10), wire.Chunked(), wire.UntilClose()} {
		reader := wire.Reader{Source: iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("5\r\nhello\r\n0\r\n\r\n")))}
		var c wire.Content
		c.Reset(&reader, framing, maxTrailer)
		timeouts := 0
		for !c.Done() {
			_, err := c.Read(make([]byte, 100))
			if errors.Is(err, iotest.ErrTimeout) {
				timeouts++
			} else if err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("%v: %v", framing, err)
			}
		}
		if timeouts != 1 {
			t.Errorf("%v: %d timeouts", framing, timeouts)
		}
	}
}

// TestBadChunkStaysBad because what follows it is not known to be anything.
func TestBadChunkStaysBad(t *testing.T) {
	for _, in := range []string{"5\r\nhellox\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nA : b\r\n\r\nA: b\r\n\r\n"} {
		reader := wire.Reader{Source: noMore{t}}
		reader.Feed([]byte(in))
		var c wire.Content
		c.Reset(&reader, wire.Chunked(), maxTrailer)
		p := make([]byte, 100)
		if n, err := c.Read(p); n != 5 || err != nil {
			t.Fatalf("%q: got %d, %v", in, n, err)
		}
		for range 3 {
			if n, err := c.Read(p); n != 0 || endOf(err) != bad || c.Done() || len(c.Trailer()) > 0 {
				t.Errorf("%q: got %d, %v", in, n, err)
			}
		}
	}
}

// TestTrailerIsKept when the reader goes on to the next message.
func TestTrailerIsKept(t *testing.T) {
	reader := wire.Reader{Source: strings.NewReader("0\r\nA: b\r\n\r\nxxxxxxxxxxxx")}
	var c wire.Content
	c.Reset(&reader, wire.Chunked(), maxTrailer)
	if _, err := io.ReadAll(&c); err != nil {
		t.Fatal(err)
	}
	copy(reader.Buffered()[:cap(reader.Buffered())], bytes.Repeat([]byte("y"), 4096))
	reader.Discard(len(reader.Buffered()))
	reader.Feed(bytes.Repeat([]byte("x"), 4096))
	if got := formatFields(c.Trailer()); got != "A=b" {
		t.Errorf("got %s", got)
	}
}

// Ready knows what a caller would have to wait for, wherever the content is cut.
func TestContentReady(t *testing.T) {
	const text = "5\r\nhello\r\n3;x\r\nyou\r\n0\r\nX: y\r\n\r\n"
	for n := range len(text) + 1 {
		var r wire.Reader
		r.Reset(iotest.ErrReader(errors.New("it waited")))
		r.Feed([]byte(text[:n]))
		var c wire.Content
		c.Reset(&r, wire.Chunked(), 100)
		for c.Ready() && !c.Done() {
			if _, err := c.Read(make([]byte, 2)); err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("after %q: %v", text[:n], err)
			}
		}
		if c.Done() != (n == len(text)) {
			t.Errorf("after %q: done %v", text[:n], c.Done())
		}
	}
}
