package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

// message is a request and what follows it.
type message struct {
	request wire.Request
	content []byte
	rest    int // bytes behind the message
}

func readMessage(stream []byte) (m *message, err error) {
	n, _, err := wire.HeadLength(stream, 0)
	if err != nil {
		return nil, err
	}
	m = &message{}
	if err := m.request.Parse(stream[:n]); err != nil {
		return nil, err
	}
	var reader wire.Reader
	reader.Feed(stream[n:])
	reader.Source = strings.NewReader("")
	var c wire.Content
	c.Reset(&reader, m.request.Framing(), 1<<20)
	m.content, err = io.ReadAll(&c)
	m.rest = len(reader.Buffered())
	return m, err
}

// agree fails if what is accepted here, net/http reads as something else. It may refuse more. It reports whether both accept.
func agree(stream []byte) (accepted bool, err error) {
	ours, err := readMessage(stream)
	if err != nil || string(ours.request.Method) == "CONNECT" {
		return false, nil
	}
	theirs, buffered, err := readRequest(stream)
	if err != nil {
		return false, nil
	}
	content, err := io.ReadAll(theirs.Body)
	if err != nil {
		return false, fmt.Errorf("content is accepted only here: %w", err)
	}
	rest, _ := io.ReadAll(buffered)
	r := &ours.request
	var wrong []string
	compare := func(what string, ours, theirs any) {
		if ours != theirs {
			wrong = append(wrong, fmt.Sprintf("%s: %v here, %v there", what, ours, theirs))
		}
	}
	compare("method", string(r.Method), theirs.Method)
	compare("target", string(r.Target), theirs.RequestURI)
	compare("host", string(r.Host), theirs.Host)
	compare("minor version", r.Minor, theirs.ProtoMinor)
	compare("chunked", r.Chunked, len(theirs.TransferEncoding) > 0)
	compare("keep alive", r.KeepAlive, !theirs.Close)
	if !r.Chunked {
		compare("length", max(r.ContentLength, 0), theirs.ContentLength)
	}
	compare("content", string(ours.content), string(content))
	compare("bytes that follow", ours.rest, len(rest))
	for _, f := range r.Fields {
		switch name := textproto.CanonicalMIMEHeaderKey(string(f.Name)); name {
		case "Host", "Transfer-Encoding", "Trailer", "Connection": // net/http takes them out of its map
		default:
			compare("field "+name, valuesOf(r.Fields, name), strings.Join(theirs.Header.Values(name), "\n"))
		}
	}
	if wrong != nil {
		return true, errors.New(strings.Join(wrong, "\n"))
	}
	return true, nil
}

func valuesOf(fields []wire.Field, name string) string {
	var values []string
	for _, f := range fields {
		if f.Is(name) {
			values = append(values, string(f.Value))
		}
	}
	return strings.Join(values, "\n")
}

func FuzzRequest(f *testing.F) {
	for _, test := range accepted {
		f.Add([]byte(test.head))
	}
	for _, test := range refused {
		f.Add([]byte(test.head + "5\r\nhello\r\n0\r\n\r\n"))
	}
	for _, content := range contents {
		f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + content + "GET /admin HTTP/1.1\r\n\r\n"))
		f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n" + content))
	}
	f.Add([]byte(typicalRequest))
	f.Fuzz(func(t *testing.T, stream []byte) {
		n, next, err := wire.HeadLength(stream, 0)
		if n < 0 || n > len(stream) || next > len(stream) || err != nil && n != 0 {
			t.Fatalf("HeadLength: %d, %d, %v", n, next, err)
		}
		var r wire.Request
		if r.Parse(stream) == nil && n != len(stream) {
			t.Fatal("Parse accepts what HeadLength does not")
		}
		if n == 0 || r.Parse(stream[:n]) != nil {
			return
		}
		again(t, &r)
		if _, err := agree(stream); err != nil {
			t.Error(err)
		}
	})
}

// again writes what was read, and reads it.
func again(t *testing.T, r *wire.Request) {
	out := wire.AppendRequestLine(nil, r.Method, r.Target)
	for _, f := range r.Fields {
		out = wire.AppendField(out, f.Name, f.Value)
	}
	out = wire.AppendEnd(out)
	if r.Minor == 0 {
		out = bytes.Replace(out, []byte("HTTP/1.1\r\n"), []byte("HTTP/1.0\r\n"), 1)
	}
	var second wire.Request
	if err := second.Parse(out); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	if see(r) != see(&second) || !equalFields(r.Fields, second.Fields) {
		t.Errorf("%q is read as %+v", out, see(&second))
	}
}

func equalFields(a, b []wire.Field) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i].Name, b[i].Name) || !bytes.Equal(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}

func FuzzResponse(f *testing.F) {
	for _, test := range acceptedResponses {
		f.Add([]byte(test.head))
	}
	for _, head := range refusedResponses {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		var r wire.Response
		if r.Parse(head) != nil {
			return
		}
		if n, _, err := wire.HeadLength(head, 0); n != len(head) || err != nil {
			t.Fatalf("HeadLength: %d, %v", n, err)
		}
		out := wire.AppendStatusLine(nil, r.Status, r.Reason)
		for _, f := range r.Fields {
			out = wire.AppendField(out, f.Name, f.Value)
		}
		out = wire.AppendEnd(out)
		var second wire.Response
		if err := second.Parse(out); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		if r.Status != second.Status || !bytes.Equal(r.Reason, second.Reason) || !equalFields(r.Fields, second.Fields) ||
			r.Framing(nil) != second.Framing(nil) {
			t.Errorf("%q is read as %+v", out, second)
		}
	})
}

func FuzzContent(f *testing.F) {
	for _, content := range contents {
		f.Add([]byte(content), uint8(2), uint16(1), uint16(1))
	}
	f.Fuzz(func(t *testing.T, stream []byte, kind uint8, arrives, wanted uint16) {
		framing := [...]wire.Framing{wire.None(), wire.Length(int64(arrives)), wire.Chunked(), wire.UntilClose()}[kind%4]
		whole := decode(stream, framing, len(stream)+1, len(stream)+1)
		pieces := decode(stream, framing, int(arrives)+1, int(wanted)+1)
		if whole != pieces {
			t.Errorf("whole:     %+v\nin pieces: %+v", whole, pieces)
		}
	})
}
