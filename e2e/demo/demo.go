//go:build e2e

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"github.com/fnctl/fnctl/e2e/machine"
)

// demo is a machine and what was shown on it so far.
type demo struct {
	out     *os.File
	began   time.Time
	machine *machine.Machine
	client  *http.Client
	rows    []row

	requests, refused atomic.Int64
}

func newDemo(out *os.File) *demo { return &demo{out: out, began: time.Now()} }

func (d *demo) close() error {
	if d.machine == nil {
		return nil
	}
	return d.machine.Close()
}

// heading opens a section: what is shown, and why it matters.
func (d *demo) heading(title, why string) {
	line := "── " + title + " " + strings.Repeat("─", max(0, 100-len(title)))
	if term.IsTerminal(int(d.out.Fd())) {
		line = text.Bold.Sprint(line)
	}
	fmt.Fprintf(d.out, "\n%s\n%s\n\n", line, why)
}

// step tells what is being done, with the seconds since the demo began.
func (d *demo) step(format string, args ...any) {
	fmt.Fprintf(d.out, "[%4.1fs] %s\n", time.Since(d.began).Seconds(), fmt.Sprintf(format, args...))
}

// heartbeat is how often a step that takes long says that it goes on.
const heartbeat = 10 * time.Second

// long does a step that may take a minute, and says so while it does.
func (d *demo) long(what string, do func() error) error {
	d.step("%s", what)
	done := make(chan error, 1)
	go func() { done <- do() }()
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			d.step("… still %s", what)
		}
	}
}

// indented is a writer that sets what others print apart from what the demo says.
type indented struct {
	w      io.Writer
	inLine bool
}

func (i *indented) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if !i.inLine {
			line = "        " + line
		}
		i.inLine = !strings.HasSuffix(line, "\n")
		if _, err := io.WriteString(i.w, line); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// run runs a command in a directory of the machine, and shows it and what it prints.
func (d *demo) run(ctx context.Context, dir, name string, args ...string) error {
	show := &indented{w: d.out}
	command := strings.Join(append([]string{name}, args...), " ")
	fmt.Fprintf(show, "root@machine:%s# %s\n", dir, command)
	cmd := d.machine.Command(ctx, "env", append([]string{"--chdir=" + dir, name}, args...)...)
	cmd.Stdout, cmd.Stderr = show, show
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}
