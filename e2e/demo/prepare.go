//go:build e2e

package main

import (
	"context"
	"path/filepath"

	"github.com/fnctl/fnctl/e2e/machine"
)

// prepare boots a machine and installs fnctl on it.
func (d *demo) prepare(ctx context.Context, deb, suite string) error {
	d.heading("A machine", "Debian with systemd as PID 1 and a network of its own, in a container. The first time, its image is made.")
	if deb == "" {
		var err error
		if deb, err = machine.NewestDeb(); err != nil {
			return err
		}
	}
	err := d.long("booting "+suite, func() (err error) {
		d.machine, err = machine.Boot(ctx, machine.Options{Suite: suite, Log: &indented{w: d.out}})
		return err
	})
	if err != nil {
		return err
	}
	d.client = d.machine.Client()
	if err := d.long("apt-get install ./"+filepath.Base(deb), func() error { return d.machine.Install(ctx, deb) }); err != nil {
		return err
	}
	d.step("ready: the gateway and the activator run, and no function does")
	return nil
}
