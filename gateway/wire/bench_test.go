package wire_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

const typicalRequest = "GET /api/v1/items?limit=20&offset=40 HTTP/1.1\r\n" +
	"Host: shop.example.org\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Referer: https://shop.example.org/items\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n" +
	"Upgrade-Insecure-Requests: 1\r\n" +
	"Priority: u=0, i\r\n\r\n"

const typicalResponse = "HTTP/1.1 200 OK\r\n" +
	"Server: uvicorn\r\n" +
	"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n" +
	"Content-Type: application/json\r\n" +
	"Content-Length: 17\r\n" +
	"Cache-Control: no-store\r\n\r\n"

func BenchmarkRequest(b *testing.B) {
	head := []byte(typicalRequest)
	var r wire.Request
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		n, _, err := wire.HeadLength(head, 0)
		if err != nil || n != len(head) {
			b.Fatal(n, err)
		}
		if err := r.Parse(head); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	head := []byte(typicalResponse)
	var r wire.Response
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		n, _, err := wire.HeadLength(head, 0)
		if err != nil || n != len(head) {
			b.Fatal(n, err)
		}
		if err := r.Parse(head); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	var r wire.Request
	if err := r.Parse([]byte(typicalRequest)); err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = wire.AppendRequestLine(out[:0], r.Method, r.Path)
		for _, f := range r.Fields {
			if !wire.HopByHop(f.Name) {
				out = wire.AppendField(out, f.Name, f.Value)
			}
		}
		out = wire.AppendEnd(out)
	}
}

// BenchmarkMessage reads a request with its content from a connection that is idle between two.
func BenchmarkMessage(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 1024)
	for name, test := range map[string]struct{ field, content string }{
		"length":  {"Content-Length: 1024\r\n\r\n", string(data)},
		"chunked": {"Transfer-Encoding: chunked\r\n\r\n", "200\r\n" + string(data[:512]) + "\r\n200\r\n" + string(data[:512]) + "\r\n0\r\n\r\n"},
	} {
		b.Run(name, func(b *testing.B) {
			stream := []byte("POST / HTTP/1.1\r\nHost: a\r\n" + test.field + test.content)
			var (
				source bytes.Reader
				reader wire.Reader
				r      wire.Request
				c      wire.Content
			)
			p := make([]byte, 32<<10)
			b.ReportAllocs()
			for b.Loop() {
				source.Reset(stream)
				reader.Reset(&source)
				if err := reader.Fill(); err != nil {
					b.Fatal(err)
				}
				n, _, _ := wire.HeadLength(reader.Buffered(), 0)
				if err := r.Parse(reader.Buffered()[:n]); err != nil {
					b.Fatal(err)
				}
				reader.Discard(n)
				c.Reset(&reader, r.Framing(), 4096)
				for !c.Done() {
					if _, err := c.Read(p); err != nil {
						b.Fatal(err)
					}
				}
				reader.Release()
			}
		})
	}
}

func BenchmarkContent(b *testing.B) {
	data := bytes.Repeat([]byte("x"), 32<<10)
	buf := append(append(make([]byte, wire.ChunkRoom), data...), "  "...)
	stream := bytes.Repeat(wire.FrameChunk(buf, len(data)), 32)
	stream = wire.AppendLastChunk(stream, nil)
	var (
		source bytes.Reader
		reader wire.Reader
		c      wire.Content
	)
	p := make([]byte, 32<<10)
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(stream)
		reader.Reset(&source)
		c.Reset(&reader, wire.Chunked(), 4096)
		var err error
		for err == nil {
			_, err = c.Read(p)
		}
		if !c.Done() {
			b.Fatal(err)
		}
	}
}

// BenchmarkOptions is the most that it costs to find out which fields Connection names: all are as long as can be in a head, and
// differ in their last byte only.
func BenchmarkOptions(b *testing.B) {
	const length = 64 << 10 / (2 * wire.MaxOptions)
	name := func(last byte) []byte { return append(bytes.Repeat([]byte("x"), length-1), last) }
	fields := make([]wire.Field, wire.MaxOptions)
	for i := range fields {
		fields[i] = wire.Field{Name: name('y'), Value: []byte("z")}
	}
	options := bytes.Join(slices.Repeat([][]byte{name('z')}, wire.MaxOptions), []byte(","))
	fields = append(fields, wire.Field{Name: []byte("Connection"), Value: options})
	for b.Loop() {
		var room [wire.MaxOptions][]byte
		names := wire.AppendOptions(room[:0], fields)
		for _, f := range fields {
			if wire.IsOption(names, f.Name) {
				b.Fatal("found")
			}
		}
	}
}
