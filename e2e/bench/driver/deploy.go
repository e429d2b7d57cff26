//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The app of each function: a program of one line, because a thousand copies of a real one would fill the disk.
const hello = "#!/bin/sh\nexec /usr/local/bin/hello-go\n"

const helloConfig = `instance: C1
autoscale: {min: 0, max: 1, metric: rps, stable_window: 6, scale_down_delay: 0, scale_to_zero_after: 0}
standby: true
`

// deploy deploys functions, one after the other.
func deploy(from, to int) error {
	for n := from; n <= to; n++ {
		dir := fmt.Sprintf("/srv/hello-%04d", n)
		if err := makeApp(dir); err != nil {
			return err
		}
		cmd := exec.Command("fnctl", "deploy", "./hello")
		cmd.Dir = dir
		began := monotonic()
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("deploy %s: %w\n%s", dir, err, out)
		}
		if err := report(map[string]float64{"deploy": monotonic() - began}); err != nil {
			return err
		}
	}
	return nil
}

func makeApp(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "jcloud.yml"), []byte(helloConfig), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "hello"), []byte(hello), 0o755)
}
