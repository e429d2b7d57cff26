//go:build e2e

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

// messageSize is that of the messages that go to and fro over WebSockets: each has a head of two bytes, and those of clients
// have four bytes more, with which they are masked (RFC 6455, 5.2).
const (
	messageSize = 64
	maskSize    = 4
	echoedSize  = 2 + messageSize
)

// wholeBinary begins a frame that is a message of its own.
const wholeBinary = 0x82

// openWebSocket is the request of a client, with the key of RFC 6455, 1.3, and opened is the answer to that.
var openWebSocket = request("GET", "echo", "echo.localhost:8080", "Connection: Upgrade", "Upgrade: websocket",
	"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")

const opened = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// maskedMessage is the frame that a client sends.
func maskedMessage() []byte {
	const mask = "mask"
	frame := append([]byte{wholeBinary, 0x80 | messageSize}, mask...)
	for i := range messageSize {
		frame = append(frame, 'x'^mask[i%maskSize])
	}
	return frame
}

// echo is a server that sends each message back.
func echo(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if err := echoMessages(conn); err != nil {
				fmt.Fprintln(os.Stderr, "driver: echo:", err)
			}
		}()
	}
}

func echoMessages(conn net.Conn) error {
	reader := bufio.NewReader(conn)
	if _, err := http.ReadRequest(reader); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, opened); err != nil {
		return err
	}
	frame := make([]byte, 2+maskSize+messageSize)
	for {
		if _, err := io.ReadFull(reader, frame); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if frame[0] != wholeBinary || frame[1] != 0x80|messageSize {
			return fmt.Errorf("frame begins with %x", frame[:2])
		}
		if _, err := conn.Write(unmasked(frame)); err != nil {
			return err
		}
	}
}

// unmasked makes the frame of a server out of that of a client, in its place.
func unmasked(frame []byte) []byte {
	mask, message := frame[2:2+maskSize], frame[2+maskSize:]
	for i := range message {
		message[i] ^= mask[i%maskSize]
	}
	frame = frame[maskSize:]
	frame[0], frame[1] = wholeBinary, messageSize
	return frame
}
