package netio

import (
	"context"
	"io"
	"testing"
	"time"
)

// What comes is told only while it is awaited, also if it was there before, and is not taken for the end.
func TestAwait(t *testing.T) {
	h, err := NewHangups()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- h.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	}()
	near, far := pair(t)
	raw, err := near.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 10)
	token := h.Watch(near, func(whole bool) { told <- map[bool]string{false: "half", true: "whole"}[whole] })
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing is told, want %q", want)
		}
	}
	await := func() {
		t.Helper()
		if !h.Await(token, raw, func() { told <- "came" }) {
			t.Fatal("it cannot be awaited")
		}
	}
	await()
	io.WriteString(far, "1")
	expect("came")
	h.StopAwaiting(token, raw)
	io.WriteString(far, "2") // told to nobody
	await()
	expect("came")
	h.StopAwaiting(token, raw)
	far.CloseWrite()
	expect("half")
	await()
	expect("half") // again
	expect("came")
	h.Unwatch(token)
	if h.Await(token, raw, func() {}) {
		t.Error("it is awaited, and not watched")
	}
}
