package platform

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/fnctl/fnctl/platform/keys"
)

// Isolation is how far an instance is confined.
type Isolation string

// The profiles. Strict costs a cold start more, and takes from apps what most of them don't need.
const (
	IsolationDefault Isolation = "default"
	IsolationStrict  Isolation = "strict"
)

// Network is the network that an instance can reach besides its own socket.
type Network string

// The networks.
const (
	// NetworkHost is the network of the machine.
	NetworkHost Network = "host"
	// NetworkInternet is the public internet, and the loopback of the machine.
	NetworkInternet Network = "internet"
	// NetworkNone is a loopback of its own.
	NetworkNone Network = "none"
)

// InternetUnit succeeds where systemd can keep a service out of networks. It only warns where it cannot, so instances that must be
// kept out require it.
const InternetUnit = "fnctl-internet.service"

// devicePattern matches a path that means itself in a unit.
var devicePattern = regexp.MustCompile(`^/dev/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$`)

// devicePaths is the kind of devices.
var devicePaths = keys.List[string]{Of: keys.Text[string]{
	Parse: keys.Checked(checkDevice), Pattern: devicePattern.String(), What: "the path of a device",
}}

func checkDevice(device string) error {
	if !devicePattern.MatchString(device) || path.Clean(device) != device {
		return fmt.Errorf("must be the path of a device such as /dev/kvm, got %s", keys.Quote(device))
	}
	return nil
}

// HiddenDirs are directories of the machine that no instance sees, and in whose place it finds empty ones.
var HiddenDirs = []string{"/home", "/root", "/run/user"}

// HiddenFrom returns the directory by which a path is hidden from the instances of a configuration, "" if they see it: temporary
// directories are their own, and read_only_paths opens others.
func (c Config) HiddenFrom(file string) string {
	opened := func(dir string) bool { return isWithin(file, dir) }
	if slices.ContainsFunc(c.ReadOnlyPaths, opened) {
		return ""
	}
	hidden := slices.Concat(HiddenDirs, []string{"/tmp", "/var/tmp", "/dev/shm"})
	if c.Isolation == IsolationStrict {
		hidden = append(hidden, "/srv")
	}
	if c.Isolation == IsolationStrict || c.Network == NetworkNone {
		hidden = append(hidden, "/run")
	}
	if at := slices.IndexFunc(hidden, opened); at >= 0 {
		return hidden[at]
	}
	return ""
}

// isWithin reports whether a path is a directory or lies in it.
func isWithin(file, dir string) bool { return file == dir || strings.HasPrefix(file, dir+"/") }

// readOnlyPattern matches a path that means itself in a unit: no blank, no quote, no specifier, no colon.
var readOnlyPattern = regexp.MustCompile(`^/[A-Za-z0-9._/@+,=-]{1,400}$`)

// readOnlyPaths is the kind of paths that a configuration opens.
var readOnlyPaths = keys.List[string]{Of: keys.Text[string]{
	Parse: keys.Checked(checkReadOnlyPath), Pattern: readOnlyPattern.String(), What: "the path of a file or a directory of the machine",
}}

// withheld is what no configuration may open: what the sandbox is made of, what others keep there, and what leads to them.
var withheld = []string{
	"/proc", "/sys", "/dev", "/run", "/etc/fnctl", "/etc/shadow", "/etc/gshadow", "/var/lib/fnctl", "/var/lib/fnctl-data", "/var/lib/private", "/var/cache/fnctl",
	"/var/cache/private", "/var/log/journal", "/tmp", "/var/tmp",
}

func checkReadOnlyPath(file string) error {
	if !readOnlyPattern.MatchString(file) || path.Clean(file) != file {
		return fmt.Errorf("must be an absolute path without blanks, such as /home/media/models, got %s", keys.Quote(file))
	}
	for _, dir := range withheld {
		if isWithin(file, dir) || isWithin(dir, file) {
			return fmt.Errorf("%s is not to be opened: %s is not for functions", keys.Quote(file), dir)
		}
	}
	return nil
}

// CheckDevices returns an error about the first device of a configuration that this machine doesn't have.
func CheckDevices(devices []string) error {
	for _, device := range devices {
		info, err := os.Stat(device)
		if err != nil {
			return fmt.Errorf("devices: %w", err)
		}
		if info.Mode()&fs.ModeDevice == 0 {
			return fmt.Errorf("devices: %s is not a device", device)
		}
	}
	return nil
}

// DeviceGroups returns the groups that a user must be in to open devices: those of the nodes that others may not open, and
// that are not root's.
func DeviceGroups(devices []string) []string {
	var groups []string
	for _, device := range devices {
		info, err := os.Stat(device)
		if err != nil || info.Mode().Perm()&0o006 == 0o006 {
			continue
		}
		gid := info.Sys().(*syscall.Stat_t).Gid
		group, err := user.LookupGroupId(strconv.FormatUint(uint64(gid), 10))
		if err == nil && gid != 0 && !slices.Contains(groups, group.Name) {
			groups = append(groups, group.Name)
		}
	}
	return groups
}
