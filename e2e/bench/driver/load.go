//go:build e2e

package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// load asks for one thing again and again over kept connections, as wrk does, in one thread and without Go's scheduler
// between the kernel and the answer: what it costs is little beside any proxy.
type load struct {
	address     unix.Sockaddr
	request     []byte
	connections int
	duration    time.Duration
	// rate is how many requests fall due each second, whatever becomes of those before: a proxy that is slow gets no rest.
	// With 0, each connection asks again as soon as it has its answer.
	rate float64
}

// outcome is what came of a load. A latency counts from when the request fell due; there are more of them than answers if
// the proxy was behind at the end.
type outcome struct {
	seconds   float64
	answers   int
	latencies []time.Duration
}

// quantile is that of the latencies, in seconds.
func (o outcome) quantile(q float64) float64 {
	slices.Sort(o.latencies)
	return o.latencies[int(q*float64(len(o.latencies)-1))].Seconds()
}

func (o outcome) perSecond() float64 { return float64(o.answers) / o.seconds }

// loop is a load under way.
type loop struct {
	load
	epoll, timer int
	conns        map[int32]*client
	idle         []*client
	buffer       []byte
	began        time.Time
	sent         int
	latencies    []time.Duration
}

// client is one connection. due is that of the request which it waits for the answer of.
type client struct {
	fd   int
	due  time.Time
	left answer
}

func (l load) run() (outcome, error) {
	p := &loop{load: l, conns: map[int32]*client{}, buffer: make([]byte, 256<<10)}
	p.latencies = make([]time.Duration, 0, 1<<20)
	if err := p.open(); err != nil {
		return outcome{}, err
	}
	defer p.close()
	p.began = time.Now()
	for time.Since(p.began) < l.duration {
		if err := errors.Join(p.ask(), p.wait()); err != nil {
			return outcome{}, err
		}
	}
	got := outcome{seconds: time.Since(p.began).Seconds(), answers: len(p.latencies)}
	if got.answers == 0 {
		return outcome{}, errors.New("no answer at all")
	}
	p.countOverdue()
	got.latencies = p.latencies
	return got, nil
}

func (p *loop) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("make epoll: %w", err)
	}
	if p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("make timer: %w", err)
	}
	// At its edge only: nobody has to read it to make it quiet.
	if err := p.watch(p.timer, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return err
	}
	for range p.connections {
		fd, err := connect(p.address)
		if err != nil {
			return err
		}
		c := &client{fd: fd}
		p.conns[int32(fd)] = c
		p.idle = append(p.idle, c)
		if err := p.watch(fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
	return nil
}

func (p *loop) watch(fd int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch connection: %w", err)
	}
	return nil
}

func connect(address unix.Sockaddr) (int, error) {
	family := unix.AF_INET
	if _, ok := address.(*unix.SockaddrUnix); ok {
		family = unix.AF_UNIX
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("make socket: %w", err)
	}
	if err := errors.Join(unix.Connect(fd, address), unix.SetNonblock(fd, true)); err != nil {
		return 0, errors.Join(fmt.Errorf("connect: %w", err), unix.Close(fd))
	}
	return fd, nil
}

func (p *loop) close() {
	for _, c := range p.conns {
		unix.Close(c.fd)
	}
	unix.Close(p.timer)
	unix.Close(p.epoll)
}

// due is when the next request falls due.
func (p *loop) due() time.Time {
	if p.rate == 0 {
		return time.Now()
	}
	return p.began.Add(time.Duration(float64(p.sent) / p.rate * float64(time.Second)))
}

// ask sends what is due, as far as connections are idle.
func (p *loop) ask() error {
	for len(p.idle) > 0 {
		due := p.due()
		if until := time.Until(due); until > 0 {
			return p.wakeAfter(until)
		}
		last := len(p.idle) - 1
		c := p.idle[last]
		p.idle = p.idle[:last]
		c.due = due
		if n, err := unix.Write(c.fd, p.request); n != len(p.request) {
			return fmt.Errorf("send request: %d of %d bytes: %w", n, len(p.request), err)
		}
		p.sent++
	}
	return nil
}

func (p *loop) wakeAfter(d time.Duration) error {
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(d.Nanoseconds())}
	if err := unix.TimerfdSettime(p.timer, 0, &at, nil); err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	return nil
}

// wait takes what has come, and waits a moment if there is nothing.
func (p *loop) wait() error {
	var events [128]unix.EpollEvent
	n, err := unix.EpollWait(p.epoll, events[:], 100)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for connections: %w", err)
	}
	for _, event := range events[:max(n, 0)] {
		c, ok := p.conns[event.Fd]
		if !ok {
			continue // the timer
		}
		if err := p.take(c); err != nil {
			return err
		}
	}
	return nil
}

// take reads what a connection has.
func (p *loop) take(c *client) error {
	n, err := unix.Read(c.fd, p.buffer)
	if errors.Is(err, unix.EAGAIN) {
		return nil
	}
	if err != nil || n == 0 {
		return fmt.Errorf("read answer: connection closed: %w", err)
	}
	whole, err := c.left.take(p.buffer[:n])
	if err != nil {
		return err
	}
	if whole {
		p.latencies = append(p.latencies, time.Since(c.due))
		p.idle = append(p.idle, c)
	}
	return nil
}

// countOverdue counts what fell due and was not even sent, as if it had been answered now: a proxy that cannot keep up has
// such requests, and leaving them out would flatter it.
func (p *loop) countOverdue() {
	for now := time.Now(); p.rate > 0 && p.due().Before(now); p.sent++ {
		p.latencies = append(p.latencies, now.Sub(p.due()))
	}
}
