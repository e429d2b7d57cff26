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
	request     []byte
	connections int
	duration    time.Duration
	// once says that each request has a connection of its own. A latency counts from before that is made.
	once bool
	// opening is asked for first over each connection, and not counted. It makes a tunnel, through which each request, a
	// message then, comes back as so many bytes.
	opening []byte
	echo    int
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
	cpu       float64 // seconds that the proxy has used
}

var errNoAnswer = errors.New("no answer at all")

// quantile is that of the latencies, in seconds.
func (o outcome) quantile(q float64) float64 {
	slices.Sort(o.latencies)
	return o.latencies[int(q*float64(len(o.latencies)-1))].Seconds()
}

func (o outcome) perSecond() float64 { return float64(o.answers) / o.seconds }

// loop is a load under way.
type loop struct {
	load
	address      unix.Sockaddr
	epoll, timer int
	conns        map[int32]*client
	idle         []*client
	buffer       []byte
	began        time.Time
	sent         int
	latencies    []time.Duration
}

// client has one connection at a time. due is that of the request which it waits for the answer of.
type client struct {
	fd   int
	due  time.Time
	left answer
}

// through implements traffic. The CPU time is that from when kept connections are there.
func (l load) through(to proxy) (outcome, error) {
	p := &loop{load: l, address: to.address, conns: map[int32]*client{}, buffer: make([]byte, 256<<10)}
	p.latencies = make([]time.Duration, 0, 1<<20)
	if err := p.open(); err != nil {
		return outcome{}, err
	}
	defer p.close()
	before, err := to.cpu()
	if err != nil {
		return outcome{}, err
	}
	got, err := p.run()
	if err != nil {
		return outcome{}, err
	}
	after, err := to.cpu()
	got.cpu = after - before
	return got, err
}

func (p *loop) run() (outcome, error) {
	p.began = time.Now()
	for !p.over(time.Since(p.began)) {
		if err := errors.Join(p.ask(), p.wait()); err != nil {
			return outcome{}, err
		}
	}
	got := outcome{seconds: time.Since(p.began).Seconds(), answers: len(p.latencies)}
	if got.answers == 0 {
		return outcome{}, errNoAnswer
	}
	p.countOverdue()
	got.latencies = p.latencies
	return got, nil
}

// over reports whether that was it. A machine that others keep busy gets the time for an answer.
func (p *loop) over(took time.Duration) bool {
	return took >= p.duration && (len(p.latencies) > 0 || took >= answerTimeout)
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
		c := &client{}
		if !p.once {
			if err := p.connect(c); err != nil {
				return err
			}
		}
		p.idle = append(p.idle, c)
	}
	return nil
}

// connect gives a client its connection.
func (p *loop) connect(c *client) error {
	fd, err := connect(p.address, nil)
	if err != nil {
		return err
	}
	c.fd = fd
	p.conns[int32(fd)] = c
	if p.opening != nil {
		if err := ask(fd, p.opening, p.buffer); err != nil {
			return err
		}
	}
	return p.watch(fd, unix.EPOLLIN)
}

func (p *loop) watch(fd int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch connection: %w", err)
	}
	return nil
}

func (p *loop) close() {
	for fd := range p.conns {
		unix.Close(int(fd))
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
		if p.once {
			if err := p.connect(c); err != nil {
				return err
			}
		}
		c.left.body = p.echo
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
		if p.once {
			delete(p.conns, int32(c.fd))
			return unix.Close(c.fd)
		}
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
