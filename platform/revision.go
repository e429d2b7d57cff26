package platform

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// RevisionID names a revision: the function, and a number that grows by one with every deploy.
type RevisionID struct {
	Function string
	Number   int
}

// String returns the name of the revision, such as ping-00001.
func (id RevisionID) String() string { return fmt.Sprintf("%s-%05d", id.Function, id.Number) }

// ParseRevisionID reads the name of a revision as String writes it.
func ParseRevisionID(s string) (RevisionID, error) {
	m := revisionPattern.FindStringSubmatch(s)
	if m == nil {
		return RevisionID{}, fmt.Errorf("%q is not the name of a revision, such as ping-00001", Clip(s))
	}
	number, err := strconv.Atoi(m[2])
	id := RevisionID{Function: m[1], Number: number}
	if err != nil || number < 1 || id.String() != s || CheckName(id.Function) != nil {
		return RevisionID{}, fmt.Errorf("%q is not the name of a revision, such as ping-00001", Clip(s))
	}
	return id, nil
}

// MarshalText writes the name of the revision.
func (id RevisionID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads the name of a revision.
func (id *RevisionID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseRevisionID(string(text))
	return err
}

// Revision is one immutable deployed version of a function.
type Revision struct {
	ID      RevisionID `json:"name"`
	Created time.Time  `json:"created"`
	// App is the argument of deploy: module:attr, or the path of an executable.
	App     string  `json:"app"`
	Runtime Runtime `json:"runtime"`
	// Framework is the package that makes the app, such as fastapi, "" if that is not known.
	Framework string `json:"framework,omitempty"`
	// Command is the argument vector of an instance. Its first element is an absolute path, or a path relative to the
	// app directory.
	Command []string `json:"command"`
	// TierDevices are the GPUs of the machine, if the tier has some.
	TierDevices []string `json:"tier_devices,omitempty"`
	// DeviceGroups are the groups that instances must be in to open the devices of the configuration and of the tier.
	DeviceGroups []string `json:"device_groups,omitempty"`
	// Resolvers are the addresses in private networks at which the machine asks for names, if its instances reach no others there.
	Resolvers []string `json:"resolvers,omitempty"`
	Config    Config   `json:"config"`
	// SourceDir is the directory of the app's Python modules, relative to the app's, "" if it is that.
	SourceDir string `json:"source_dir,omitempty"`
	// Venv is the key of the virtual environment in which a program runs that is not one of its own, "" for others.
	Venv string `json:"venv,omitempty"`
	// Source is the directory that the app was deployed from, "" for revisions that were made before it was kept.
	Source string `json:"source,omitempty"`
	// Size is that of the app's files in bytes, 0 for revisions that were made before it was kept.
	Size int64 `json:"size,omitempty"`
	// Poised says that instances may wait in their sandbox: the program for that was there when their units were written.
	Poised bool `json:"poised,omitempty"`
	// Secrets is nil if there are none, and for revisions that have them in SecretsFile.
	Secrets *Secrets `json:"secrets,omitempty"`
}

// Secrets has the names of the secrets of a revision, and how they are kept. It has no values.
type Secrets struct {
	// Names are sorted.
	Names []string `json:"names"`
	// Encrypted ones are readable on this machine only, and by root only. Others are plain text, which only root may read.
	Encrypted bool `json:"encrypted"`
}

// SecretsScript is the credential that holds all secrets as assignments of a shell. No variable has this name.
const SecretsScript = "secrets.sh"

// InstanceID names one instance of a revision.
type InstanceID struct {
	Revision RevisionID
	Index    int
}

// String returns the name of the instance, such as ping-00001@3.
func (id InstanceID) String() string { return fmt.Sprintf("%s@%d", id.Revision, id.Index) }

// ParseInstanceID reads the name of an instance as String writes it.
func ParseInstanceID(s string) (InstanceID, error) {
	rev, index, found := strings.Cut(s, "@")
	if !found {
		return InstanceID{}, fmt.Errorf("%q is not the name of an instance, such as ping-00001@3", Clip(s))
	}
	id, err := ParseRevisionID(rev)
	if err != nil {
		return InstanceID{}, err
	}
	n, err := strconv.Atoi(index)
	if err != nil || n < 1 || strconv.Itoa(n) != index {
		return InstanceID{}, fmt.Errorf("%q is not the name of an instance, such as ping-00001@3", Clip(s))
	}
	return InstanceID{Revision: id, Index: n}, nil
}

// Unit returns the name of the instance's unit without its suffix: fn-ping-00001@3.
func (id InstanceID) Unit() string { return "fn-" + id.String() }

// Service returns the name of the instance's service unit.
func (id InstanceID) Service() string { return id.Unit() + ".service" }

// Socket returns the name of the instance's socket unit.
func (id InstanceID) Socket() string { return id.Unit() + ".socket" }

// ParseUnit reads the name of an instance's service or socket unit. kind is "service" or "socket".
func ParseUnit(unit string) (id InstanceID, kind string, ok bool) {
	name, found := strings.CutPrefix(unit, "fn-")
	if !found {
		return InstanceID{}, "", false
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return InstanceID{}, "", false
	}
	name, kind = name[:dot], name[dot+1:]
	if kind != "service" && kind != "socket" {
		return InstanceID{}, "", false
	}
	id, err := ParseInstanceID(name)
	return id, kind, err == nil
}

// InstanceState is where an instance stands in its life.
type InstanceState string

const (
	// Armed: the socket listens and no process runs.
	Armed InstanceState = "armed"
	// Poised: the socket listens, and a process waits in the sandbox that the app will have: the first connection makes it the app.
	Poised InstanceState = "poised"
	// Starting: the process runs and has not yet accepted a connection.
	Starting InstanceState = "starting"
	// Ready: the process has accepted a connection.
	Ready InstanceState = "ready"
	// Deaf: the process runs and has stopped reading: requests lie in its socket for longer than liveness_timeout. It counts
	// as no capacity, and another takes its place.
	Deaf InstanceState = "deaf"
	// Standby: the process was ready, has nothing to do, and is frozen. A request wakes it within milliseconds.
	Standby InstanceState = "standby"
	// Draining: the socket is gone; the process finishes what it has.
	Draining InstanceState = "draining"
	// Failed: the process ended by itself, or could not be started.
	Failed InstanceState = "failed"
)

// InstanceStates are all of them, beginning with those that serve.
var InstanceStates = []InstanceState{Ready, Starting, Standby, Poised, Armed, Deaf, Draining, Failed}

// VenvDir is the virtual environment that the revision runs in, "" if it runs in none.
func (r Revision) VenvDir(paths Paths) string {
	key := r.Venv
	if key == "" && len(r.Command) > 0 {
		if program, is := strings.CutPrefix(r.Command[0], paths.Venvs(r.ID.Function)+"/"); is {
			key, _, _ = strings.Cut(program, "/")
		}
	}
	if !filepath.IsLocal(key) || key == "." || strings.Contains(key, "/") {
		return ""
	}
	return paths.Venv(r.ID.Function, key)
}
