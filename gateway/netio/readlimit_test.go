package netio

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

func TestReadLimit(t *testing.T) {
	near, far := pair(t)
	var l ReadLimit
	l.Reset(near)
	read := func() error {
		_, err := near.Read(make([]byte, 1))
		return err
	}
	expire := func(what string) {
		t.Helper()
		began := time.Now()
		if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 30*time.Second {
			t.Errorf("%s: %v after %v", what, err, time.Since(began))
		}
	}
	pass := func(what string) {
		t.Helper()
		io.WriteString(far, "1")
		if err := read(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	l.Set(time.Now().Add(20 * time.Millisecond))
	l.SetSome(time.Now().Add(time.Minute))
	expire("an earlier deadline stays")
	l.Set(time.Now().Add(time.Minute))
	l.SetSome(time.Now().Add(20 * time.Millisecond))
	expire("a later one does not")
	l.Cut()
	expire("cut")
	l.SetSome(time.Now().Add(time.Minute))
	pass("set after it was cut")
	l.Interrupt()
	l.Set(time.Now().Add(time.Minute))
	expire("interrupted")
	if !l.IsInterrupted() {
		t.Error("it is interrupted")
	}
	l.Resume()
	l.Set(time.Now().Add(time.Minute))
	pass("resumed")
}
