package wire_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/gateway/wire"
)

func TestReaderGrows(t *testing.T) {
	in := strings.Repeat("0123456789abcdef", 1<<10)
	reader := wire.Reader{Source: strings.NewReader(in)}
	for len(reader.Buffered()) < len(in) {
		if err := reader.Fill(); err != nil {
			t.Fatal(err)
		}
	}
	if string(reader.Buffered()) != in {
		t.Error("what is buffered is not what was read")
	}
	if err := reader.Fill(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestReaderMoves what is buffered to the front, so that it grows only if it must.
func TestReaderMoves(t *testing.T) {
	in := strings.Repeat("0123456789abcdef", 1<<10)
	reader := wire.Reader{Source: strings.NewReader(in)}
	got := ""
	for reader.Fill() == nil {
		n := max(len(reader.Buffered())-10, 1)
		got += string(reader.Buffered()[:n])
		reader.Discard(n)
		if cap(reader.Buffered()) > 4096 {
			t.Fatalf("room for %d", cap(reader.Buffered()))
		}
	}
	if got += string(reader.Buffered()); got != in {
		t.Error("what is buffered is not what was read")
	}
}

func TestReaderFeed(t *testing.T) {
	reader := wire.Reader{Source: strings.NewReader("c")}
	reader.Feed([]byte("a"))
	reader.Feed([]byte(strings.Repeat("b", 10000)))
	if err := reader.Fill(); err != nil {
		t.Fatal(err)
	}
	if got, want := string(reader.Buffered()), "a"+strings.Repeat("b", 10000)+"c"; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestReaderRelease(t *testing.T) {
	reader := wire.Reader{Source: strings.NewReader("hello")}
	reader.Release()
	if err := reader.Fill(); err != nil {
		t.Fatal(err)
	}
	reader.Discard(1)
	reader.Release()
	if got := string(reader.Buffered()); got != "ello" {
		t.Errorf("released what is buffered: left %q", got)
	}
	reader.Discard(4)
	reader.Release()
	if got := reader.Buffered(); cap(got) != 0 {
		t.Errorf("kept %d bytes", cap(got))
	}
}

func TestReaderReset(t *testing.T) {
	reader := wire.Reader{Source: strings.NewReader("hello")}
	if err := reader.Fill(); err != nil {
		t.Fatal(err)
	}
	reader.Reset(strings.NewReader("again"))
	if got := reader.Buffered(); cap(got) != 0 {
		t.Errorf("kept %q", got)
	}
	if err := reader.Fill(); err != nil || string(reader.Buffered()) != "again" {
		t.Errorf("got %q, %v", reader.Buffered(), err)
	}
}

type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, nil }

func TestReaderOfNothing(t *testing.T) {
	reader := wire.Reader{Source: empty{}}
	if err := reader.Fill(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}
