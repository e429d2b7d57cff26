//go:build e2e

package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// answer is what is still to come of an answer: its head, or so many bytes of its body.
type answer struct {
	head []byte // as far as it has come
	body int
}

// take takes what has come, and reports whether that was the rest.
func (a *answer) take(data []byte) (whole bool, err error) {
	if a.body > 0 {
		a.body -= len(data)
		return a.body == 0, a.check()
	}
	if len(a.head) > 0 {
		a.head = append(a.head, data...)
		data = a.head
	}
	head, body, complete := bytes.Cut(data, []byte("\r\n\r\n"))
	if !complete {
		if len(a.head) == 0 {
			a.head = append(a.head, data...)
		}
		return false, nil
	}
	length, err := contentLength(head)
	if err != nil {
		return false, err
	}
	a.body = length - len(body)
	a.head = a.head[:0]
	return a.body == 0, a.check()
}

func (a *answer) check() error {
	if a.body < 0 {
		return fmt.Errorf("read answer: %d bytes too many", -a.body)
	}
	return nil
}

// contentLength is the length of the body after a head that must be of a good answer. A tunnel begins with none.
func contentLength(head []byte) (int, error) {
	if bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return 0, nil
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("got an answer that is not good:\n%s", head)
	}
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			return strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	return 0, fmt.Errorf("got an answer without a length:\n%s", head)
}
