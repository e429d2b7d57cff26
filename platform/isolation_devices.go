package platform

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"syscall"
)

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
