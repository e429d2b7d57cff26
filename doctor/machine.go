package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
)

// A disk with less is full soon.
const (
	fewBytes  = 256 << 20
	fewInodes = 5000
	noBytes   = 8 << 20
	noInodes  = 100
)

// checkDisks looks at the file systems that fnctl writes to, each once.
func (e *examination) checkDisks(context.Context) error {
	seen := map[uint64]bool{}
	for _, dir := range []string{
		e.store.Paths.Functions(), filepath.Join(e.store.Paths.Root, "var/cache"), filepath.Join(e.store.Paths.Root, "var/lib/private"),
		filepath.Join(e.store.Paths.Root, "var/log"), e.store.Paths.Units(), e.store.Paths.Instances(), filepath.Join(e.store.Paths.Root, "tmp"),
	} {
		var stat unix.Stat_t
		if err := unix.Stat(dir, &stat); err != nil {
			continue // checkPermissions says what is missing
		}
		if device := stat.Dev; !seen[device] {
			seen[device] = true
			if err := e.checkDisk(dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *examination) checkDisk(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	const remedy = "fnctl gc removes what no function needs; df -h, df -i and du -xsh tell what else is there"
	free := int64(fs.Bavail) * fs.Bsize
	inodes, counted := int64(fs.Ffree), int64(fs.Files) > 0 // some file systems don't count
	switch text := fmt.Sprintf("%s has %s and %d files left", dir, platform.ByteSize(free), inodes); {
	case free < noBytes || counted && inodes < noInodes:
		e.fail(remedy, "%s", text)
	case free < fewBytes || counted && inodes < fewInodes:
		e.warn(remedy, "%s", text)
	default:
		e.ok("%s has %s left", dir, platform.ByteSize(free))
	}
	return nil
}

// checkExecution looks whether the programs of apps may be executed: copies of apps lie in the first directory, virtual environments
// in the second.
func (e *examination) checkExecution(context.Context) error {
	bad := false
	for _, dir := range []string{filepath.Join(e.store.Paths.Root, "var/cache"), e.store.Paths.Functions()} {
		var stat unix.Statfs_t
		if err := unix.Statfs(dir, &stat); err == nil && stat.Flags&unix.ST_NOEXEC != 0 {
			bad = true
			e.fail("mount it without noexec, in /etc/fstab too, or give the directory a file system of its own",
				"%s is mounted noexec: no program of an app can run from there", dir)
		}
	}
	enforcing, err := os.ReadFile(filepath.Join(e.store.Paths.Root, "sys/fs/selinux/enforce"))
	if err == nil && strings.TrimSpace(string(enforcing)) == "1" {
		bad = true
		e.warn("ausearch -m AVC -ts recent shows what it refuses; semanage fcontext -a -t bin_t '/var/cache/private/fnctl(/.*)?' && restorecon -R /var/cache/private",
			"SELinux is enforcing, and fnctl brings no policy: systemd may not be allowed to run programs of apps where they lie")
	}
	if !bad {
		e.ok("programs of apps may be executed")
	}
	return nil
}

// checkPermissions looks at the directories that the package makes, and checks that only root can read secrets.
func (e *examination) checkPermissions(context.Context) error {
	const remake = "systemd-sysusers && systemd-tmpfiles --create"
	gateway, err := user.Lookup("fnctl")
	if err != nil {
		e.fail(remake, "the user fnctl is missing, as whom the gateway runs")
		return nil
	}
	bad := 0
	if !isMember(gateway, platform.GatewayGroup) {
		bad++
		e.fail(remake+" && systemctl restart fnctl-gateway", "the user fnctl is not in the group %s, which may connect to instances", platform.GatewayGroup)
	}
	old, err := e.openInstances(gateway)
	if err != nil {
		return err
	}
	if old > 0 {
		bad++
		e.warn("fnctl upgrade --all, or deploy what is not upgraded because only a tag leads there; until then nobody should be in the group fnctl",
			"members of the group fnctl may ask %s past the gateway, as units of earlier versions have it", platform.Plural(old, "instance"))
	}
	for _, dir := range []string{e.store.Paths.Functions(), e.store.Paths.Instances(), filepath.Join(e.store.Paths.Root, "var/cache/fnctl")} {
		if problem := directoryProblem(dir, 0o755); problem != "" {
			bad++
			e.fail(remake, "%s", problem)
		}
	}
	closed, err := e.closedTo(gateway)
	if err != nil {
		return err
	}
	for _, problem := range closed {
		bad++
		e.fail("chmod 644 FILE; systemd-tmpfiles --create fnctl.conf opens the directories of functions", "the gateway must read it: %s", problem)
	}
	readable, err := e.readableSecrets()
	if err != nil {
		return err
	}
	for _, file := range readable {
		bad++
		e.fail(fmt.Sprintf("chmod %03o %s, and change what it holds", file.mode, file.path), "other users may read %s", file.path)
	}
	if bad == 0 {
		e.ok("directories and secrets are as they should be")
	}
	return nil
}

func isMember(u *user.User, group string) bool {
	g, err := user.LookupGroup(group)
	if err != nil {
		return false
	}
	ids, err := u.GroupIds()
	return err == nil && slices.Contains(ids, g.Gid)
}

// openInstances counts the instances whose sockets are of the gateway's first group, which others are in to read metrics.
func (e *examination) openInstances(gateway *user.User) (n int, err error) {
	ids, err := e.store.Instances()
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		info, err := os.Stat(e.store.Paths.InstanceSocket(id))
		if err == nil && strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid)) == gateway.Gid {
			n++
		}
	}
	return n, nil
}

// closedTo lists what a user cannot read who must: an administrator with a narrow umask may have made it.
func (e *examination) closedTo(u *user.User) ([]string, error) {
	dirs := []string{filepath.Dir(e.store.Paths.Functions())}
	files := []string{e.store.Paths.Settings()}
	names, err := e.store.Functions()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		dirs = append(dirs, e.store.Paths.Function(name))
		files = append(files, e.store.Paths.Route(name))
	}
	var problems []string
	for _, dir := range dirs {
		if problem := directoryProblem(dir, 0o755); problem != "" {
			problems = append(problems, problem)
		}
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			continue // others speak of that
		}
		ofGroup := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid)) == u.Gid && info.Mode().Perm()&0o040 != 0
		if !ofGroup && info.Mode().Perm()&0o004 == 0 {
			problems = append(problems, fmt.Sprintf("%s has the mode %04o", file, info.Mode().Perm()))
		}
	}
	return problems, nil
}

// directoryProblem says what is wrong with a directory of root's.
func directoryProblem(dir string, mode fs.FileMode) string {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err.Error()
	case !info.IsDir():
		return dir + " is not a directory"
	case info.Sys().(*syscall.Stat_t).Uid != 0:
		return dir + " doesn't belong to root"
	case info.Mode().Perm() != mode:
		return fmt.Sprintf("%s has the mode %04o, not %04o", dir, info.Mode().Perm(), mode)
	}
	return ""
}

// secretFile is a file that not everybody may read, with the mode that it should have.
type secretFile struct {
	path string
	mode fs.FileMode
}

// readableSecrets lists the secret files that others may read than those for whom they are.
func (e *examination) readableSecrets() ([]secretFile, error) {
	names, err := e.store.Functions()
	if err != nil {
		return nil, err
	}
	var readable []secretFile
	check := func(mode fs.FileMode, paths ...string) {
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077&^mode != 0 {
				readable = append(readable, secretFile{path, mode})
			}
		}
	}
	for _, name := range names {
		check(0o640, e.store.Paths.Tokens(name))
		ids, err := e.store.Revisions(name)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			check(0o600, append(e.store.Paths.EnvFiles(id), e.store.Paths.Credentials(id))...)
			check(0o640, e.store.Paths.Users(id))
		}
	}
	return readable, nil
}

// watched is how many inotify watches fnctl takes besides one for each function.
const watched = 16

// checkKernel looks at limits that a busy machine meets.
func (e *examination) checkKernel(context.Context) error {
	names, err := e.store.Functions()
	if err != nil {
		return err
	}
	small := 0
	for _, limit := range []struct {
		key   string
		least int
		what  string
	}{
		{"net/core/somaxconn", 4096, "requests that wait in a socket while an instance or the gateway starts; more are refused"},
		{"fs/inotify/max_user_watches", 2*len(names) + watched, "directories that the gateway watches; it learns of changes later without"},
		{"fs/inotify/max_user_instances", 16, "programs of one user that watch directories"},
		{"fs/nr_open", 65536, "connections of the gateway, twice"},
		{"fs/file-max", 65536, "open files of the whole machine"},
	} {
		value, err := e.sysctl(limit.key)
		if errors.Is(err, fs.ErrNotExist) {
			continue // not in this container
		}
		if err != nil {
			return err
		}
		if value < limit.least {
			small++
			key := strings.ReplaceAll(limit.key, "/", ".")
			e.warn(fmt.Sprintf("write %s = %d to /etc/sysctl.d/fnctl.conf, then sysctl --system", key, limit.least), "%s is %d: it bounds the %s", key, value, limit.what)
		}
	}
	if small == 0 {
		e.ok("they are large enough")
	}
	return nil
}

func (e *examination) sysctl(key string) (int, error) {
	data, err := os.ReadFile(filepath.Join(e.store.Paths.Root, "proc/sys", key))
	if err != nil {
		return 0, err
	}
	value, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
	return int(min(value, 1<<62)), err
}

// checkClock finds a clock that is behind the newest revision, and one that nothing sets.
func (e *examination) checkClock(context.Context) error {
	names, err := e.store.Functions()
	if err != nil {
		return err
	}
	for _, name := range names {
		ids, err := e.store.Revisions(name)
		if err != nil || len(ids) == 0 {
			continue // the check of functions says so
		}
		rev, err := e.store.Revision(ids[len(ids)-1])
		if ahead := time.Until(rev.Created); err == nil && ahead > time.Minute {
			e.fail("timedatectl", "it is %s behind: %s was made in what is the future now", ahead.Round(time.Second), rev.ID)
			return nil
		}
	}
	var timex unix.Timex
	state, err := unix.Adjtimex(&timex)
	if err == nil && state == unix.TIME_ERROR {
		e.warn("systemctl enable --now systemd-timesyncd, or another client of NTP", "nothing keeps it right")
		return nil
	}
	e.ok("%s", time.Now().Format(time.RFC3339))
	return nil
}

// checkPython looks for what Python apps need.
func (e *examination) checkPython(ctx context.Context) error {
	if !platform.Exists(build.Python) {
		e.warn("apt-get install python3 uvicorn, or dnf install python3 python3-uvicorn", "there is no %s: only executables can be deployed", build.Python)
		return nil
	}
	const remedy = "apt-get install uvicorn (python3-uvicorn on Debian 13 and Fedora), or write it into the requirements.txt of each app"
	version, err := build.RunTool(ctx, build.Python, "-c", "import platform, uvicorn; print(platform.python_version(), 'with uvicorn', uvicorn.__version__)")
	if err != nil {
		e.warn(remedy, "%s has no uvicorn: ASGI apps must bring it along", build.Python)
		return nil
	}
	e.ok("%s", version)
	return nil
}
