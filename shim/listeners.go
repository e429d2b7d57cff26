package shim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Listeners returns the addresses at which some processes listen for TCP connections, which have one network. Those of another user's
// processes take root.
func Listeners(pids []int) ([]netip.AddrPort, error) {
	sockets := make(map[string]bool) // by inode
	for _, pid := range pids {
		if err := addSockets(sockets, pid); err != nil {
			return nil, err
		}
	}
	for _, pid := range pids {
		addresses, err := listenersOf(fmt.Sprintf("/proc/%d", pid), func(_ uint16, _, inode string) bool { return sockets[inode] })
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended
		}
		return addresses, err
	}
	return nil, nil
}

// Holder is who listens at an address.
type Holder struct {
	Address netip.AddrPort
	PIDs    []int // of those that may be looked at: root may look at all
}

// Holders returns who listens on a port of the machine.
func Holders(port uint16) ([]Holder, error) {
	var inodes []string
	addresses, err := listenersOf("/proc/self", func(p uint16, _, inode string) bool {
		if p == port {
			inodes = append(inodes, inode)
		}
		return p == port
	})
	if err != nil || len(addresses) == 0 {
		return nil, err
	}
	holders := make([]Holder, len(addresses))
	for i, address := range addresses {
		holders[i].Address = address
	}
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, process := range processes {
		pid, err := strconv.Atoi(process.Name())
		if err != nil {
			continue // no process
		}
		sockets := make(map[string]bool)
		_ = addSockets(sockets, pid) // it is another user's, or has ended
		for i, inode := range inodes {
			if sockets[inode] {
				holders[i].PIDs = append(holders[i].PIDs, pid)
			}
		}
	}
	return holders, nil
}

// Name is the unit of a process that listens, which says more than its number.
func (h Holder) Name() string {
	name := "another program"
	for _, pid := range h.PIDs {
		if pid == 1 {
			name = "a socket of systemd (systemctl list-sockets)"
			continue // the service that takes what comes is more
		}
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
		if err != nil {
			continue // it has ended
		}
		for part := range strings.SplitSeq(strings.TrimSpace(string(data)), "/") {
			if strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope") {
				return fmt.Sprintf("%s (process %d)", part, pid)
			}
		}
		return fmt.Sprintf("process %d", pid)
	}
	return name
}

// addSockets notes the sockets that a process has open.
func addSockets(sockets map[string]bool, pid int) error {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		target, err := os.Readlink(dir + "/" + entry.Name())
		if err != nil {
			continue // it was closed meanwhile
		}
		if inode, is := strings.CutPrefix(target, "socket:["); is {
			sockets[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return nil
}

// listenersOf returns the addresses of the chosen sockets that listen in the network of a process, whose directory is given.
func listenersOf(process string, chosen func(port uint16, uid, inode string) bool) (found []netip.AddrPort, err error) {
	for _, family := range []string{"tcp", "tcp6"} {
		file, err := os.Open(process + "/net/" + family)
		if errors.Is(err, fs.ErrNotExist) && family == "tcp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("look for open ports: %w", err)
		}
		addresses, err := readListeners(file, chosen)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("look for open ports in %s: %w", file.Name(), err)
		}
		found = append(found, addresses...)
	}
	return found, nil
}

const stateListen = "0A"

// readListeners reads a file such as /proc/net/tcp. The kernel lists those who listen first, so that the rest need not be read.
func readListeners(file io.Reader, chosen func(port uint16, uid, inode string) bool) (found []netip.AddrPort, err error) {
	const local, state, owner, inode = 1, 3, 7, 9
	lines := bufio.NewScanner(file)
	lines.Scan() // the head
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) <= inode || fields[state] != stateListen {
			break
		}
		host, hexPort, _ := strings.Cut(fields[local], ":")
		port, err := strconv.ParseUint(hexPort, 16, 16)
		if err != nil {
			return nil, err
		}
		if !chosen(uint16(port), fields[owner], fields[inode]) {
			continue
		}
		address, err := parseKernelAddress(host)
		if err != nil {
			return nil, err
		}
		found = append(found, netip.AddrPortFrom(address, uint16(port)))
	}
	return found, lines.Err()
}
