//go:build e2e

// Command demo shows the whole of fnctl in under a minute, on a disposable machine with a real systemd: a
// function that starts with a request and sleeps until the next, one that gets a second instance under load, one with two
// workers, and how each goes back to what it was.
//
//	go run -tags e2e ./e2e/demo
//
// It takes root, and the package that make package has made. It exits with 1 if anything that it says will
// happen does not, and leaves nothing behind, also when it is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/fnctl/fnctl/e2e/machine"
)

func main() { os.Exit(run()) }

func run() int {
	deb := flag.String("deb", os.Getenv("FNCTL_DEB"), "`PACKAGE` to install (default: the newest in dist)")
	suite := flag.String("suite", machine.Bookworm, "Debian `SUITE` of the machine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	d := newDemo(os.Stdout)
	err := errors.Join(d.show(ctx, *deb, *suite), d.close())
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "\ndemo: interrupted; nothing is left behind")
		return 130
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo: error:", err)
		return 1
	}
	return 0
}

// show is the demo from beginning to end. The error tells of the first thing that went wrong.
func (d *demo) show(ctx context.Context, deb, suite string) error {
	fmt.Fprintln(d.out, "fnctl turns a Linux machine with systemd into a serverless platform. This demo boots a machine of its\n"+
		"own, installs fnctl on it, and shows three functions; that takes about a minute and leaves nothing behind.")
	for _, scene := range []func(context.Context) error{
		func(ctx context.Context) error { return d.prepare(ctx, deb, suite) },
		d.showPing, d.showLoad, d.showWorkers, d.report,
	} {
		if err := scene(ctx); err != nil {
			d.explain(ctx)
			return err
		}
	}
	return nil
}

// explain shows what the machine has to say about an error.
func (d *demo) explain(ctx context.Context) {
	if ctx.Err() == nil && d.machine != nil {
		fmt.Fprintf(d.out, "\nthe last lines of the machine's journal:\n%s", d.machine.Journal(30))
	}
}
