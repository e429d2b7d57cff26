package platform

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Cgroup is the control group of one instance, read from the kernel's files (Linux, "Control Group v2").
type Cgroup struct{ dir string }

// InstanceCgroup returns the control group of an instance whose function has the slice named slice.
func InstanceCgroup(p Paths, slice string, id InstanceID) Cgroup {
	return Cgroup{dir: filepath.Join(p.Cgroup(), "fn.slice", slice, id.Service())}
}

// Dir is the directory of the group.
func (c Cgroup) Dir() string { return c.dir }

// sleeper is the name of the group below that of an instance which is frozen. The instance's own must never be: what systemd starts in
// it, as it does when a unit ends, would freeze before its exec, and PID 1 with it (seen with systemd 257).
const sleeper = "app"

// Sleeper is the group of the instance's processes while they may be frozen. It need not be there.
func (c Cgroup) Sleeper() Cgroup { return Cgroup{dir: filepath.Join(c.dir, sleeper)} }

// FreezeFile is the file that freezes the group with 1 and thaws it with 0.
func (c Cgroup) FreezeFile() string { return filepath.Join(c.dir, "cgroup.freeze") }

// IsFrozen reports whether all processes of the group have stopped. It is false for a group that is not there.
func (c Cgroup) IsFrozen() bool {
	frozen, err := readStatFile(filepath.Join(c.dir, "cgroup.events"), "frozen")
	return err == nil && frozen == 1
}

// CPUTime returns the processor time that the group has used since it exists. It counts without the cpu controller, too.
func (c Cgroup) CPUTime() (time.Duration, error) {
	file := filepath.Join(c.dir, "cpu.stat")
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	used, err := parseCPUStat(data)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	return used, nil
}

func parseCPUStat(data []byte) (time.Duration, error) {
	usec, err := readStat(data, "usage_usec")
	return time.Duration(usec) * time.Microsecond, err
}

// readStat returns the number that a line of a file such as cpu.stat has behind its name.
func readStat(data []byte, name string) (int64, error) {
	for line := range bytes.Lines(data) {
		if value, found := bytes.CutPrefix(line, []byte(name+" ")); found {
			return strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		}
	}
	return 0, fmt.Errorf("there is no %s", name)
}

// readStatFile is readStat of a file.
func readStatFile(file, name string) (int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	value, err := readStat(data, name)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	return value, nil
}

// PIDs lists the processes of the group and of the groups below it.
func (c Cgroup) PIDs() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(c.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		more, err := ReadPIDs(path)
		pids = append(pids, more...)
		return err
	})
	return pids, err
}

// ReadPIDs reads a file cgroup.procs.
func ReadPIDs(file string) ([]int, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var pids []int
	for line := range strings.Lines(string(data)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// Memory returns the working set of the group in bytes: its memory.current less the file pages that nobody has used lately
// (inactive_file), which the kernel drops when it needs them, as the metrics of Kubernetes count it. Where the memory
// controller is not in this hierarchy, it is the resident set of its processes, which counts shared pages once for each.
func (c Cgroup) Memory() (int64, error) {
	data, err := os.ReadFile(filepath.Join(c.dir, "memory.current"))
	if err == nil {
		return c.workingSet(data)
	}
	pids, err := c.PIDs()
	if err != nil {
		return 0, err
	}
	var total int64
	for _, pid := range pids {
		total += residentSet(pid)
	}
	return total, nil
}

func (c Cgroup) workingSet(current []byte) (int64, error) {
	used, err := strconv.ParseInt(strings.TrimSpace(string(current)), 10, 64)
	if err != nil {
		return 0, err
	}
	inactive, err := readStatFile(filepath.Join(c.dir, "memory.stat"), "inactive_file")
	return max(0, used-inactive), err
}

// Anonymous returns the memory of the group that no file has, in bytes, as far as it is not in swap.
func (c Cgroup) Anonymous() (int64, error) {
	return readStatFile(filepath.Join(c.dir, "memory.stat"), "anon")
}

// Swapped returns how much of the group's memory is in swap, in bytes. It is 0 where that is not counted.
func (c Cgroup) Swapped() int64 {
	swapped, _ := readNumber(filepath.Join(c.dir, "memory.swap.current"))
	return swapped
}

// readNumber reads a file that is one number.
func readNumber(file string) (int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
}

// residentSet is 0 for a process that has ended meanwhile.
func residentSet(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
