package platform

import (
	"bufio"
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
func (p Paths) InstanceCgroup(slice string, id InstanceID) Cgroup {
	return Cgroup{dir: filepath.Join(p.Cgroup(), "fn.slice", slice, id.Service())}
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

// PIDs lists the processes of the group and of the groups below it.
func (c Cgroup) PIDs() ([]int, error) {
	var pids []int
	err := filepath.WalkDir(c.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		scanner := bufio.NewScanner(bytes.NewReader(data))
		for scanner.Scan() {
			pid, err := strconv.Atoi(scanner.Text())
			if err != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			pids = append(pids, pid)
		}
		return nil
	})
	return pids, err
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
	stat, err := os.ReadFile(filepath.Join(c.dir, "memory.stat"))
	if err != nil {
		return 0, err
	}
	inactive, err := readStat(stat, "inactive_file")
	return max(0, used-inactive), err
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
