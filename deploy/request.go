package deploy

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// Request describes what is to be deployed, checked as far as it can be without changing anything.
type Request struct {
	Name   string // of the function
	Dir    string // of the app
	Config platform.Config
	App    build.App
	// Env and Secrets are variables. nil keeps those of the revision that serves.
	Env, Secrets map[string]string
	// Force makes a revision though nothing changed.
	Force bool
	// Tag, if not empty, leads to the new revision.
	Tag string
	// NoTraffic leaves the traffic where it is.
	NoTraffic bool
	// Recreate ends what runs of the function before the revision starts: requests wait meanwhile.
	Recreate bool
	// Rollout is the time over which traffic moves to the revision; 0 is at once.
	Rollout time.Duration
	// Verbose says more about each step.
	Verbose bool

	users     []byte              // the file of those who may come in, nil: there is none
	from      platform.RevisionID // whose files are taken instead of those in Dir, unless it is zero
	source    string              // the directory that the files are from, at first
	nameOfDir bool                // nobody chose the name: it is the directory's
}

// Source is where a request comes from. Only Dir is needed.
type Source struct {
	Dir string
	// App is what to run; without it the configuration says so.
	App string
	// Name is that of the function; without it the configuration's or the directory's is taken.
	Name string
	// ConfigFile is jcloud.yml or jcloud.yaml in the directory, unless it is given.
	ConfigFile string
	// EnvFile and SecretFile have variables, NAME=value a line.
	EnvFile, SecretFile string
	// Hosts are some besides those of the configuration.
	Hosts []string
}

// NewRequest reads and checks what is to be deployed. It changes nothing, and runs nothing of the app.
func NewRequest(s Source) (Request, error) {
	var r Request
	dir, err := appDir(s.Dir)
	if err != nil {
		return r, err
	}
	r.Dir, r.source = dir, dir
	if r.Config, _, err = platform.LoadConfig(dir, s.ConfigFile); err != nil {
		return r, err
	}
	if r.Name, err = functionName(s.Name, r.Config.Name, dir); err != nil {
		return r, err
	}
	r.nameOfDir = s.Name == "" && r.Config.Name == ""
	if err := platform.CheckDevices(r.Config.Devices); err != nil {
		return r, platform.WithHint(err, "leave it out of devices, or load its driver")
	}
	if err := platform.CheckReadOnlyPaths(r.Config.ReadOnlyPaths); err != nil {
		return r, err
	}
	for _, host := range s.Hosts {
		name, path, _ := strings.Cut(host, "/") // a path is as it is written
		host = strings.ToLower(name) + host[len(name):len(host)-len(path)] + path
		if err := platform.CheckHostRule(host); err != nil {
			return r, platform.UsageError(err)
		}
		if !slices.Contains(r.Config.Hosts, host) {
			r.Config.Hosts = append(r.Config.Hosts, host)
		}
	}
	if r.App, err = build.Find(s.App, dir, r.Config); err != nil {
		return r, err
	}
	if err := r.Config.Protocol.CheckFor(r.App.Runtime); err != nil {
		return r, fmt.Errorf("protocol: %w", err)
	}
	if r.users, err = readUsers(dir, r.Config); err != nil {
		return r, err
	}
	if r.Env, err = readEnv(s.EnvFile); err != nil {
		return r, err
	}
	r.Secrets, err = readEnv(s.SecretFile)
	return r, err
}

func appDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the app's directory: %w", err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return "", platform.WithHint(fmt.Errorf("find the app's directory: %w", err), "--app-dir names the directory of the app")
	}
	if !info.IsDir() {
		return "", platform.WithHint(fmt.Errorf("%s is not a directory", abs), "--app-dir names the directory of the app")
	}
	return abs, nil
}

// functionName is the name that the user gave, that of the configuration, or that of the app's directory.
func functionName(given, config, dir string) (string, error) {
	if given != "" {
		return given, platform.CheckName(given)
	}
	if config != "" {
		return config, nil
	}
	name := strings.ToLower(strings.NewReplacer("_", "-", ".", "-", " ", "-").Replace(filepath.Base(dir)))
	if err := platform.CheckName(name); err != nil {
		return "", platform.WithHint(fmt.Errorf("the directory's name cannot name the function: %w", err), "choose one with --name")
	}
	return name, nil
}

// checkSource refuses the app of one directory in the place of that of another one, which only happens to have its name: "app" and
// "backend" are the names of many. A directory that is gone has moved, or was made for one deploy.
func (r Request) checkSource(store platform.Store) error {
	if !r.nameOfDir {
		return nil
	}
	id, err := serving(store, r.Name)
	if err != nil || id.Number == 0 {
		return nil // what cannot be read is replaced, whatever it is
	}
	rev, err := store.Revision(id)
	if err != nil || rev.Source == "" || rev.Source == r.source {
		return nil
	}
	there, err := os.Stat(rev.Source)
	if err != nil {
		return nil
	}
	if here, err := os.Stat(r.source); err == nil && os.SameFile(there, here) {
		return nil
	}
	return platform.WithHint(fmt.Errorf("%s is deployed from %s, and this is %s", r.Name, rev.Source, r.source),
		"--name NAME, or name: in jcloud.yml, for a function of its own; --name %s if it is the same one", r.Name)
}

// EnvLimit bounds an environment file: the kernel takes no more for all arguments and variables together.
const EnvLimit = 2 << 20

// readEnv reads a file of variables; no file means nil.
func readEnv(path string) (map[string]string, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the environment file: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, EnvLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the environment file: %w", err)
	}
	if len(data) > EnvLimit {
		return nil, fmt.Errorf("%s: the file is larger than %d bytes", path, EnvLimit)
	}
	env, err := platform.ParseEnvFile(path, data)
	if err != nil {
		return nil, err
	}
	// What systemd cannot pass on must be refused now, not dropped when the instance starts.
	if _, err := units.EnvFile(env); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return env, nil
}

// revision is the revision that comes of the request.
func (r Request) revision(paths platform.Paths, id platform.RevisionID, secrets *platform.Secrets) platform.Revision {
	config := r.Config
	config.Env = nil // anyone may read a revision; its variables are in a file of their own
	var gpus []string
	if config.Instance.GPUCount() > 0 {
		gpus = platform.FindGPUs(paths).Nodes
	}
	venv := r.App.Venv(paths, r.Name, config.SystemPackages)
	rev := platform.Revision{
		ID:      id,
		Created: time.Now().UTC().Truncate(time.Second),
		App:     r.App.Text,
		Runtime: r.App.Runtime, Framework: r.App.Framework,
		Command:   r.App.Command(venv),
		Config:    config,
		SourceDir: r.App.SourceDir,
		Source:    r.source,
		Secrets:   secrets,
		Poised:    platform.HasPoise(paths),

		TierDevices:  gpus,
		DeviceGroups: platform.DeviceGroups(slices.Concat(config.Devices, gpus)),
	}
	if config.Network == platform.NetworkInternet {
		rev.Resolvers = PrivateResolvers(paths)
	}
	if rev.VenvDir(paths) == "" {
		rev.Venv = venv.Key()
	}
	return rev
}

// Preview returns the revision that a deploy would make now, and its units. It needs no root.
func (e *Engine) Preview(ctx context.Context, r Request) (platform.Revision, []units.File, error) {
	if err := checkUser(e.Store.Paths, r.Name); err != nil {
		return platform.Revision{}, nil, err
	}
	if err := r.checkSource(e.Store); err != nil {
		return platform.Revision{}, nil, err
	}
	number, err := nextNumber(ctx, e.Store, r.Name, nil)
	if err != nil {
		return platform.Revision{}, nil, err
	}
	described, err := e.describeSecrets(r)
	if err != nil {
		return platform.Revision{}, nil, err
	}
	rev := r.revision(e.Store.Paths, platform.RevisionID{Function: r.Name, Number: number}, described)
	files, err := units.Files(e.Store.Paths, rev)
	return rev, files, err
}
