package gateway

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAttemptBody(t *testing.T) {
	untouched := &attemptBody{src: strings.NewReader("body")}
	untouched.Close()
	if !untouched.takeBack() {
		t.Error("nothing was read, and it cannot be taken back")
	}
	if n, err := untouched.Read(make([]byte, 9)); n != 0 || !errors.Is(err, errTakenBack) {
		t.Errorf("after that: read %d, %v", n, err)
	}
	touched := &attemptBody{src: strings.NewReader("body")}
	touched.Read(make([]byte, 1))
	if touched.takeBack() {
		t.Error("some was read, and it can be taken back")
	}
}

func TestAttemptBodyRemembersTheClientsFailure(t *testing.T) {
	b := &attemptBody{src: iotest.ErrReader(io.ErrUnexpectedEOF)}
	if _, err := io.ReadAll(b); !errors.Is(err, errRequestBody) || !errors.Is(b.failure(), errRequestBody) {
		t.Errorf("got %v, %v", err, b.failure())
	}
	whole := &attemptBody{src: strings.NewReader("body")}
	if _, err := io.ReadAll(whole); err != nil || whole.failure() != nil {
		t.Errorf("got %v, %v", err, whole.failure())
	}
}
