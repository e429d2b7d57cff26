package build

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// Units stops builds. It is a part of systemd.Manager.
type Units interface {
	List(ctx context.Context, patterns ...string) ([]platform.UnitStatus, error)
	Stop(ctx context.Context, unit string) error
}

// A Builder makes a virtual environment. What pip installs may run code of its own while it is built, so that happens in
// a unit with a user that exists for just that, which sees nothing but the environment's place to write to.
type Builder struct {
	Venv
	Paths platform.Paths
	Units Units
	// Report is told how far pip has come, or with Verbose all that it prints, line by line.
	Report  func(line string)
	Verbose bool

	output tail
}

// stopTimeout bounds the end of a build that was interrupted.
const stopTimeout = 60 * time.Second

// buildUnit is the unit in which pip runs. Each build has its own: systemd may know the last one for a while. No function has a
// dot in its name.
func buildUnit(function, build string) string {
	return "fnctl-build-" + function + "." + build + ".service"
}

// Stop ends all builds of a function, also those whose deploy was killed. Its lock is held.
func Stop(ctx context.Context, manager Units, function string) error {
	builds, err := manager.List(ctx, buildUnit(function, "*"))
	for _, unit := range builds {
		err = errors.Join(err, manager.Stop(ctx, unit.Name))
	}
	return err
}

// The files of a build: the environment, the files of requirements beside it, and pip's variables.
func (b *Builder) temporary() string {
	return filepath.Join(b.Paths.Venvs(b.function), "."+filepath.Base(b.dir))
}

func (b *Builder) place() string { return filepath.Join(b.temporary(), "venv") }

func (b *Builder) variables() string { return filepath.Join(b.temporary(), "env") }

// installed is where a build finds what it is to install.
const installed = "requirements"

// Build makes the environment. It has its name only when it is whole, and nobody but root can write to it then.
func (b *Builder) Build(ctx context.Context) error {
	b.output.limit = maxOutput
	if err := b.prepare(ctx); err != nil {
		return fmt.Errorf("make a virtual environment: %w", err)
	}
	err := b.install(ctx)
	// Whatever of it still runs ends before anything else is done with its files.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(err, Stop(stop, b.Units, b.function))
	if err == nil {
		err = b.finish()
	}
	if err != nil {
		err = errors.Join(err, platform.RemoveTree(b.temporary()), b.removeEmpty())
	}
	return err
}

// removeEmpty removes the directory on which the build's place was mounted.
func (b *Builder) removeEmpty() error {
	if err := os.Remove(b.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// prepare makes the place for the environment, with the files of requirements. An earlier build may have been killed.
func (b *Builder) prepare(ctx context.Context) error {
	if err := Stop(ctx, b.Units, b.function); err != nil {
		return err
	}
	if err := platform.RemoveTree(b.temporary()); err != nil {
		return err
	}
	// systemd mounts the build's place there.
	if err := platform.MakeDir(b.dir, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(b.temporary(), 0o700); err != nil {
		return err
	}
	for _, file := range b.files {
		path := filepath.Join(b.place(), installed, filepath.FromSlash(file.path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(file.text), 0o644); err != nil {
			return err
		}
	}
	if err := openTree(filepath.Join(b.place(), installed)); err != nil {
		return err
	}
	env, err := units.EnvFile(pipVariables(os.Environ()))
	if err != nil {
		return err
	}
	if err := os.WriteFile(b.variables(), env, 0o600); err != nil {
		return err
	}
	// The user of the build is not known before it runs; nobody else can enter the directory around it.
	return os.Chmod(b.place(), 0o777)
}

// openTree lets everybody who gets there read a tree of files, whatever the umask was when they were made.
func openTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // there are none
		case err != nil:
			return err
		case entry.IsDir():
			return os.Chmod(path, 0o755)
		default:
			return os.Chmod(path, 0o644)
		}
	})
}

// pipVariables are those of the caller that say where packages come from. They may have passwords.
func pipVariables(environ []string) map[string]string {
	env := map[string]string{"HOME": "/tmp", "PIP_NO_INPUT": "1", "PIP_NO_CACHE_DIR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		switch upper := strings.ToUpper(name); {
		case strings.HasPrefix(upper, "PIP_"), upper == "HTTP_PROXY", upper == "HTTPS_PROXY", upper == "NO_PROXY", upper == "ALL_PROXY":
			env[name] = value
		}
	}
	return env
}

// buildSandbox is what holds the build, besides what holds all of them. Packages may be compiled, which takes memory.
var buildSandbox = []string{
	"DynamicUser=yes", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "UMask=0022", "MemoryMax=50%", "LimitFSIZE=4G", "TasksMax=1024", "RuntimeMaxSec=1h",
}

// buildScript makes an environment at $0 and lets pip install into it. $2 is scriptsOfMachine.
const buildScript = `/usr/bin/python3 -I -m venv $1 "$0"
"$0/bin/python3" -m pip install -r "$0/` + installed + "/" + RequirementsFile + `"
exec "$0/bin/python3" -I -c "$2"`

//go:embed scripts.py
var scriptsOfMachine string

// install runs the build.
func (b *Builder) install(ctx context.Context) error {
	c := confined{
		unit: buildUnit(b.function, strconv.Itoa(os.Getpid())), description: "fnctl: packages of the function " + b.function,
		properties: append(slices.Clone(buildSandbox), "TemporaryFileSystem="+b.Paths.Functions()+":ro",
			"BindPaths="+b.place()+":"+b.dir, "EnvironmentFile="+b.variables()),
		disks: []string{b.place(), "/tmp", "/var/tmp"},
	}
	site := ""
	if b.systemPackages {
		site = "--system-site-packages"
	}
	err := c.run(ctx, &lineWriter{line: b.say}, "/bin/sh", "-ec", buildScript, b.dir, site, scriptsOfMachine)
	out := strings.TrimSpace(b.output.String())
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("install %s: %w", RequirementsFile, context.Cause(ctx))
	case errors.Is(err, errDisk):
		return fmt.Errorf("install %s: %w", RequirementsFile, err)
	case strings.Contains(out, "ensurepip is not"), strings.Contains(out, "No module named venv"):
		return platform.WithHint(errors.New("make a virtual environment: Python's venv is missing"), "apt-get install python3-venv")
	case out == "":
		return fmt.Errorf("install %s: %w", RequirementsFile, err)
	}
	return platform.WithHint(fmt.Errorf("install %s: %s", RequirementsFile, pipError(out)), "pip can be configured in /etc/pip.conf; what that names must be readable for all")
}

// say keeps a line of pip's, and shows it if it tells how far it has come.
func (b *Builder) say(line string) {
	_, _ = b.output.Write([]byte(line + "\n")) // which never fails
	for _, step := range []string{"Collecting ", "Processing ", "Building ", "Installing "} {
		if b.Verbose || strings.HasPrefix(line, step) {
			b.Report(line)
			return
		}
	}
}

// finish gives the environment to root, and then its name.
func (b *Builder) finish() error {
	// An index may have been named with a password.
	if err := platform.RemoveTree(filepath.Join(b.place(), installed)); err != nil {
		return err
	}
	if err := seal(b.place()); err != nil {
		return fmt.Errorf("finish the virtual environment: %w", err)
	}
	// All of it is on disk before the name is, whatever happens to the machine in between.
	if err := platform.SyncFileSystem(b.place()); err != nil {
		return fmt.Errorf("write the virtual environment to disk: %w", err)
	}
	if err := b.removeEmpty(); err != nil {
		return err
	}
	if err := os.Rename(b.place(), b.dir); err != nil {
		return err
	}
	if err := platform.RemoveTree(b.temporary()); err != nil {
		return err
	}
	return platform.SyncDir(filepath.Dir(b.dir))
}

// seal gives files to root: all users may read them, and only root may write. No process of their owner is left.
func seal(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := os.Lchown(path, 0, 0); err != nil {
			return err
		}
		switch entry.Type() {
		case fs.ModeDir:
			return os.Chmod(path, 0o755)
		case fs.ModeSymlink:
			return nil
		case 0:
			info, err := entry.Info()
			if err != nil {
				return err
			}
			return os.Chmod(path, 0o644|info.Mode().Perm()&0o111)
		}
		return os.Remove(path) // no package has sockets, pipes or devices
	})
}

// maxLine bounds what is kept of a line, in bytes.
const maxLine = 64 << 10

// lineWriter calls line for each line that is written to it.
type lineWriter struct {
	line func(string)
	rest []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		before, after, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			w.rest = w.rest[:min(len(w.rest), maxLine)]
			return len(p), nil
		}
		w.line(strings.TrimRight(string(before), "\r"))
		w.rest = after
	}
}

// pipError returns what pip calls an error, or else its last lines.
func pipError(out string) string {
	var errs []string
	for line := range strings.Lines(out) {
		if text, is := strings.CutPrefix(line, "ERROR: "); is {
			errs = append(errs, strings.TrimSpace(text))
		}
	}
	if len(errs) == 0 {
		return platform.LastLines(out, 5)
	}
	return strings.Join(errs, " | ")
}
