//go:build e2e

package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// showWorkers shows one instance with several processes.
func (d *demo) showWorkers(ctx context.Context) error {
	d.heading("workers: one instance, several processes",
		"workers: 2 has uvicorn serve with two processes behind one socket. fnctl status lists what really runs.")
	if err := d.deploy(ctx, "workers"); err != nil {
		return err
	}
	answered, met, err := d.workers(ctx)
	if err != nil {
		return err
	}
	d.step("processes that answered GET http://workers.localhost:8080/pid: %s", numbers(answered))
	all, err := d.instances(ctx, "workers")
	if err != nil {
		return err
	}
	var listed []int
	for _, i := range all {
		listed = append(listed, i.PIDs...)
		d.step("fnctl status workers -o json: %s is %s, its processes are %s", i.Name, i.State, numbers(i.PIDs))
	}
	for _, pid := range answered {
		met = met && slices.Contains(listed, pid)
	}
	d.check("workers: processes that answer", numbers(answered), "two, both in fnctl status", met)
	return nil
}

// workers asks until two processes have answered. Several requests go out at once: the gateway keeps its connections to
// an instance, and each of them stays with one process. More each time, so that there are new connections among them.
func (d *demo) workers(ctx context.Context) (pids []int, met bool, err error) {
	atOnce := 4
	_, met, err = until(ctx, func() (bool, error) {
		atOnce = min(2*atOnce, 256)
		burst, err := d.burst(ctx, atOnce, "workers", "/pid")
		for _, a := range burst {
			pid, _ := strconv.Atoi(string(number.Find(a.body)))
			if pid != 0 && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
		return len(pids) == 2, err
	})
	slices.Sort(pids)
	return pids, met, err
}

var number = regexp.MustCompile(`\d+`)

func numbers(pids []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(pids), " ", ", "), "[]")
}
