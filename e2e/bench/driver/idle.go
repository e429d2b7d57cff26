//go:build e2e

package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// idleConnections come from several addresses, each of which has fewer than the gateway lets one address have.
const (
	idleConnections = 10_000
	idleAddresses   = 4
)

// idle reports what each proxy has in memory at rest, and with clients that each have had an answer and keep their connection.
func idle() error {
	found := map[string]float64{}
	for _, p := range proxies {
		if err := p.keepIdle(found); err != nil {
			return fmt.Errorf("%s with %d connections: %w", p.name, idleConnections, err)
		}
	}
	return report(found)
}

func (p proxy) keepIdle(found map[string]float64) (err error) {
	if found[p.name+" rest"], err = p.memory(); err != nil {
		return err
	}
	clients := make([]int, 0, idleConnections)
	defer func() {
		for _, fd := range clients {
			unix.Close(fd)
		}
	}()
	buffer := make([]byte, 64<<10)
	for n := range idleConnections {
		fd, err := connect(p.address, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + n%idleAddresses)}})
		if err != nil {
			return err
		}
		clients = append(clients, fd)
		if err := ask(fd, get("small"), buffer); err != nil {
			return err
		}
	}
	time.Sleep(rest)
	if found[p.name+" idle"], err = p.memory(); err != nil {
		return err
	}
	return allOpen(clients)
}

// allOpen fails if a connection was closed, or brings something that nobody has asked for.
func allOpen(clients []int) error {
	var peeked [1]byte
	for _, fd := range clients {
		_, _, err := unix.Recvfrom(fd, peeked[:], unix.MSG_PEEK)
		if err == nil {
			return errors.New("an idle connection was closed, or was sent something")
		}
		if !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("look at an idle connection: %w", err)
		}
	}
	return nil
}
