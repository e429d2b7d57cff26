//go:build e2e

package e2e

import (
	"path/filepath"
	"testing"

	"github.com/fnctl/fnctl/e2e/machine"
	"github.com/fnctl/fnctl/platform"
)

// systemd has nothing to say about the units that are generated, on the oldest and the newest supported version.
func TestUnits(t *testing.T) {
	for _, suite := range []string{machine.Bookworm, machine.Trixie} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			m := boot(t, suite)
			m.CopyIn(t, filepath.Join(machine.Root(), "testdata", "units"), "/srv/units")
			// The program of the executable's unit must exist, in the instances that systemd makes up to verify a template.
			m.MustRun(t, "sh", "-c", `for i in i test_instance; do
				mkdir -p "/var/cache/fnctl/my-app-00042@$i/bin" && cp /bin/true "/var/cache/fnctl/my-app-00042@$i/bin/server with spaces"
			done`)
			m.MustRun(t, "sh", "-c", `for name in camera-00001 vault-00007 fetch-00001; do for i in i test_instance; do
				mkdir -p "/var/cache/fnctl/$name@$i" && cp /bin/true "/var/cache/fnctl/$name@$i/server"
			done; done; groupadd --force video; cp /bin/true /usr/bin/fnctl; mkdir -p /var/lib/fnctl; cp /bin/true /var/lib/fnctl/poise`)
			m.CopyIn(t, filepath.Join(machine.Root(), "packaging/systemd", platform.InternetUnit), "/etc/systemd/system/"+platform.InternetUnit)
			for _, name := range []string{"asgi", "executable", "secrets", "strict", "device", "internet"} {
				out := m.MustRunIn(t, "/srv/units/"+name, "sh", "-c", "systemd-analyze verify ./*.socket ./*.service ./*.slice 2>&1")
				if out != "" {
					t.Errorf("%s:\n%s", name, out)
				}
			}
		})
	}
}
