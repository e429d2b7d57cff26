// Package machine boots disposable Debian machines with a real systemd as PID 1, in systemd-nspawn:
// a second and a half each, at native speed, each with a loopback of its own, on any Debian host and
// whatever the host's own PID 1 is. The end-to-end tests, the demo and the benchmarks stand on it.
//
//	m, err := machine.Boot(ctx, machine.Options{Suite: machine.Bookworm})
//	defer m.Close()
//	out, err := m.Run(ctx, "systemctl", "is-system-running")
//
// Everything below is compiled with the build tag e2e only.
package machine
