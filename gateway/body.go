package gateway

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

var (
	// errRequestBody is wrapped by errors of reading what the client sends.
	errRequestBody = errors.New("read the request's body")
	errTakenBack   = errors.New("this attempt is over")
)

// attemptBody lends the body of a request to one attempt to send it. It knows whether the attempt has touched it, and can
// be taken back if it has not.
type attemptBody struct {
	src io.Reader

	mu        sync.Mutex
	touched   bool
	takenBack bool
	err       error
}

func (b *attemptBody) Read(p []byte) (int, error) {
	if err := b.touch(); err != nil {
		return 0, err
	}
	n, err := b.src.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", errRequestBody, err)
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *attemptBody) touch() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.takenBack {
		return errTakenBack
	}
	b.touched = true
	return nil
}

// Close does nothing: the body belongs to the server, and the next attempt may need it.
func (b *attemptBody) Close() error { return nil }

// takeBack reports whether the attempt left the body as it was. The attempt reads nothing of it from then on.
func (b *attemptBody) takeBack() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.takenBack = true
	return !b.touched
}

// failure is the error that reading from the client ended with, or nil.
func (b *attemptBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// responseBody remembers whether the instance broke off.
type responseBody struct {
	io.ReadCloser
	err error
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
