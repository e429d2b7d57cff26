//go:build e2e

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// sandboxRounds is how many starts of each service are measured at the least: the differences are of tenths of milliseconds.
const sandboxRounds = 30

// variant is a service in a sandbox.
type variant struct {
	name       string // of its units
	measure    string
	directives []string
}

// baseline is the least sandbox of a function: a user of its own, with what that implies.
var baseline = []string{"DynamicUser=yes", "SystemCallArchitectures=native"}

// switches are what systemd.exec(5) and systemd.resource-control(5) have to confine a service further.
var switches = [][]string{
	{"CapabilityBoundingSet="},
	{"UMask=0077"},
	{"KeyringMode=private"},
	{"ProtectHome=yes"},
	{"PrivateDevices=yes"},
	{"DevicePolicy=closed"},
	{"ProtectClock=yes"},
	{"ProtectControlGroups=yes"},
	{"Delegate="},
	{"ProtectHostname=yes"},
	{"ProtectKernelLogs=yes"},
	{"ProtectKernelModules=yes"},
	{"ProtectKernelTunables=yes"},
	{"ProtectProc=invisible"},
	{"ProcSubset=pid"},
	{"ProtectProc=invisible", "ProcSubset=pid"},
	{"PrivateIPC=yes"},
	{"PrivateNetwork=yes"},
	{"PrivateUsers=yes"},
	{"PrivateMounts=yes"},
	{"LockPersonality=yes"},
	{"MemoryDenyWriteExecute=yes"},
	{"RestrictNamespaces=yes"},
	{"RestrictRealtime=yes"},
	{"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"},
	{"RestrictAddressFamilies=AF_UNIX"},
	{"IPAddressDeny=any"},
	{"IPAddressDeny=any", "IPAddressAllow=localhost"},
	{"RestrictFileSystems=~tracefs debugfs"},
	{"InaccessiblePaths=/sys"},
	{"InaccessiblePaths=-/run/dbus/system_bus_socket"},
	{"InaccessiblePaths=-/run/dbus/system_bus_socket -/run/systemd/notify -/run/systemd/journal/socket -/run/systemd/journal/stdout -/run/lock"},
	{"TemporaryFileSystem=/run:ro"},
	{"TemporaryFileSystem=/dev/shm:mode=1777,nodev,nosuid"},
	{"TemporaryFileSystem=/var/lib/fnctl/functions:ro"},
	{"ProtectHome=tmpfs"},
	{"NoExecPaths=/var"},
	{"SystemCallFilter=@system-service"},
	{"SystemCallFilter=@system-service", "SystemCallFilter=~@privileged @resources"},
	{"SystemCallFilter=~@clock @cpu-emulation @debug @keyring @module @mount @obsolete @raw-io @reboot @swap bpf io_uring_setup"},
	{"SystemCallFilter=~@clock @cpu-emulation @debug @module @mount @obsolete @privileged @raw-io @reboot @resources @swap"},
}

// benchSandbox says what each switch of a sandbox adds to the start of a service, and takes from its exposure.
func benchSandbox(ctx context.Context, l *lab) ([]result, error) {
	// DevicePolicy= and IPAddressDeny= are BPF programs.
	l.machine.AllowBPF(true)
	if err := l.machine.Reboot(ctx); err != nil {
		return nil, err
	}
	if err := l.likeHardware(ctx); err != nil {
		return nil, err
	}
	variants, err := sandboxVariants()
	if err != nil {
		return nil, err
	}
	names := make([]string, len(variants))
	for i, v := range variants {
		names[i] = v.name
		if err := l.arm(ctx, v); err != nil {
			return nil, err
		}
	}
	if _, err := l.run(ctx, "systemctl", "daemon-reload"); err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := l.run(ctx, "systemctl", "start", name+".socket"); err != nil {
			return nil, err
		}
	}
	rounds := max(l.rounds, sandboxRounds)
	done := 0
	times, err := l.drive(ctx, func(map[string]float64) {
		if done++; done%10 == 0 {
			l.step("sandbox: %d of %d rounds", done, rounds)
		}
	}, append([]string{"-rounds", strconv.Itoa(rounds), "sandbox"}, names...)...)
	if err != nil {
		return nil, err
	}
	var results []result
	for _, v := range variants {
		exposure, err := l.exposure(ctx, v.name)
		if err != nil {
			return nil, err
		}
		measure := fmt.Sprintf("%s (exposure %.1f)", v.measure, exposure)
		base := names[0]
		results = append(results,
			result{Benchmark: "sandbox", Measure: measure, Unit: "ms", Ours: added(times[v.name], times[base])}.
				against("all of it", spreadOf(times[v.name], 1000)),
			result{Benchmark: "sandbox", Measure: "  processor time", Unit: "ms", Ours: added(times[v.name+" cpu"], times[base+" cpu"])}.
				against("all of it", spreadOf(times[v.name+" cpu"], 1000)))
	}
	return results, nil
}

// added is what each round took longer than the baseline's, in ms: what disturbs the machine for longer than a round disturbs
// the difference little.
func added(times, baseline []float64) spread {
	differences := make([]float64, len(times))
	for i, took := range times {
		differences[i] = took - baseline[i]
	}
	return spreadOf(differences, 1000)
}

// sandboxVariants are the baseline, the baseline with each switch, and the profiles as they are in units.
func sandboxVariants() ([]variant, error) {
	variants := []variant{{"sandbox-0", "baseline: " + strings.Join(baseline, " "), baseline}, {"sandbox-1", "no sandbox at all", nil}}
	for _, s := range switches {
		variants = append(variants, variant{
			fmt.Sprintf("sandbox-%d", len(variants)), strings.Join(s, " "), slices.Concat(baseline, s),
		})
	}
	for _, profile := range []platform.Isolation{platform.IsolationDefault, platform.IsolationStrict} {
		directives, err := sandboxOf("isolation: " + string(profile))
		if err != nil {
			return nil, err
		}
		variants = append(variants, variant{"sandbox-" + string(profile), "isolation: " + string(profile), directives})
	}
	internet, err := sandboxOf("network: internet")
	filter := slices.DeleteFunc(internet, func(directive string) bool { return !strings.HasPrefix(directive, "IPAddress") })
	return append(variants, variant{"sandbox-internet", "network: internet", append(filter, baseline...)}), err
}

// sandboxOf takes the sandbox from the units that a deploy would write for a configuration.
func sandboxOf(text string) ([]string, error) {
	config, err := platform.ParseConfig("", []byte(text))
	if err != nil {
		return nil, err
	}
	rev := platform.Revision{ID: platform.RevisionID{Function: "profile", Number: 1}, Command: []string{"/usr/local/bin/hello-go"}, Config: config}
	files, err := units.Files(platform.DefaultPaths(), rev)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if _, sandbox, found := strings.Cut(file.Text, "\nUser="); found {
			return strings.Split(strings.TrimSpace("User="+sandbox), "\n"), nil
		}
	}
	return nil, errors.New("no unit has a sandbox")
}

// arm writes the units of a variant.
func (l *lab) arm(ctx context.Context, v variant) error {
	service := "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=exec\nExecStart=/usr/local/bin/hello-go\n" + strings.Join(v.directives, "\n") + "\n"
	socket := fmt.Sprintf("[Socket]\nListenStream=/run/%s.sock\nTriggerLimitIntervalSec=0\n", v.name)
	for suffix, text := range map[string]string{"service": service, "socket": socket} {
		if err := l.machine.WriteFile(ctx, "/etc/systemd/system/"+v.name+"."+suffix, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// exposure is what systemd-analyze security thinks of a service, from 0, which is best, to 10.
func (l *lab) exposure(ctx context.Context, name string) (float64, error) {
	// The overall score is in the text only.
	out, err := l.run(ctx, "systemd-analyze", "security", "--no-pager", name+".service")
	if err != nil {
		return 0, err
	}
	_, score, _ := strings.Cut(out, "Overall exposure level for "+name+".service: ")
	var exposure float64
	if _, err := fmt.Sscan(score, &exposure); err != nil {
		return 0, fmt.Errorf("read the exposure of %s: %w", name, err)
	}
	return exposure, nil
}
