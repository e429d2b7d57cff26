package platform

import (
	"fmt"
	"path/filepath"
)

// Paths derives the place of every file from one root, which is "/" on a real machine and a temporary directory in tests. It
// only makes names; Store reads and writes what is there.
type Paths struct{ Root string }

// DefaultPaths are the paths of a machine.
func DefaultPaths() Paths { return Paths{Root: "/"} }

func (p Paths) join(elem ...string) string {
	return filepath.Join(append([]string{p.Root}, elem...)...)
}

// Settings is the file of the platform's own settings.
func (p Paths) Settings() string { return p.join("etc/fnctl/fnctl.yml") }

// Units is the directory of generated units.
func (p Paths) Units() string { return p.join("etc/systemd/system") }

// Wants is the directory of the links to sockets that are armed at boot.
func (p Paths) Wants() string { return p.join("etc/systemd/system/fnctl.target.wants") }

// Functions is the directory of all functions.
func (p Paths) Functions() string { return p.join("var/lib/fnctl/functions") }

// Restoring is the directory in which a backup is unpacked.
func (p Paths) Restoring() string { return p.join("var/lib/fnctl/.restore") }

// Function is the directory of one function.
func (p Paths) Function(name string) string { return filepath.Join(p.Functions(), name) }

// Route is the file of a function's route.
func (p Paths) Route(name string) string { return filepath.Join(p.Function(name), "route.json") }

// Routed is the file that marks that a function has a route: then one that is missing is lost, and not removed.
func (p Paths) Routed(name string) string { return filepath.Join(p.Function(name), "routed") }

// Scale is the file of a function's bounds that override those of its revisions.
func (p Paths) Scale(name string) string { return filepath.Join(p.Function(name), "scale.json") }

// Lock is the file whose lock makes changes of one function happen one after the other.
func (p Paths) Lock(name string) string { return p.join("run/fnctl/locks", name) }

// Held is the file that marks that a command, while it has the lock of a function, wants no instance of it but those that it starts
// itself.
func (p Paths) Held(name string) string { return p.join("run/fnctl/held", name) }

// Revisions is the directory of a function's revisions.
func (p Paths) Revisions(name string) string { return filepath.Join(p.Function(name), "revisions") }

// Revision is the directory of one revision.
func (p Paths) Revision(id RevisionID) string {
	return filepath.Join(p.Revisions(id.Function), fmt.Sprintf("%05d", id.Number))
}

// Snapshot is the directory with a revision's copy of the app.
func (p Paths) Snapshot(id RevisionID) string { return filepath.Join(p.Revision(id), "app") }

// Served is the file that marks that a revision has, or had, traffic.
func (p Paths) Served(id RevisionID) string { return filepath.Join(p.Revision(id), "served") }

// Proved is the file that marks that a revision answered when it was deployed with --no-traffic.
func (p Paths) Proved(id RevisionID) string { return filepath.Join(p.Revision(id), "proved") }

// FailedDeploy is the file with the reason why a revision did not come to serve.
func (p Paths) FailedDeploy(id RevisionID) string {
	return filepath.Join(p.Revision(id), "failed.json")
}

// Users is the file of the users who may come in to a revision, which the gateway reads.
func (p Paths) Users(id RevisionID) string { return filepath.Join(p.Revision(id), UsersFile) }

// UsersFile is the name of Paths.Users.
const UsersFile = "users"

// Tokens is the file of a function's tokens, which the gateway reads.
func (p Paths) Tokens(name string) string { return filepath.Join(p.Function(name), "tokens.json") }

// Venvs is the directory of a function's virtual environments. They are not shared between functions, which
// could see from them what others are made of.
func (p Paths) Venvs(function string) string { return filepath.Join(p.Function(function), "venvs") }

// Venv is the directory of the virtual environment of one set of requirements.
func (p Paths) Venv(function, key string) string { return filepath.Join(p.Venvs(function), key) }

// The files of variables in a revision's directory, each of which may override those before it.
const (
	ConfigEnvFile = "config.env" // env: in jcloud.yml
	EnvFile       = "env"        // --env
)

const (
	// CredentialsDir is the directory of a revision's secrets.
	CredentialsDir = "credentials"
	// SecretsFile is where an earlier version of fnctl kept the secrets of a revision, in the format of the files of variables.
	SecretsFile = "secrets"
)

// Credentials is the directory with a file for each secret of a revision, and one for SecretsScript.
func (p Paths) Credentials(id RevisionID) string {
	return filepath.Join(p.Revision(id), CredentialsDir)
}

// Credential is the file of one credential of a revision.
func (p Paths) Credential(id RevisionID, name string) string {
	return filepath.Join(p.Credentials(id), name)
}

// EnvFiles are the files of variables of a revision, in the order in which they are read.
func (p Paths) EnvFiles(id RevisionID) []string {
	dir := p.Revision(id)
	return []string{filepath.Join(dir, ConfigEnvFile), filepath.Join(dir, EnvFile)}
}

// WorkdirName is the working directory of an instance, relative to systemd's cache directory.
func WorkdirName(instance string) string { return "fnctl/" + instance }

// BusyFile is the file in an instance's working directory on which the app holds a lock while it works without a request.
const BusyFile = ".fnctl-busy"

// Busy is the BusyFile of an instance. The app owns it.
func (p Paths) Busy(id InstanceID) string { return filepath.Join(p.Workdir(id), BusyFile) }

// Workdir is the working directory of an instance as the administrator sees it. It lies in systemd's private area, which
// no other dynamic user can enter.
func (p Paths) Workdir(id InstanceID) string {
	return p.join("var/cache/private", WorkdirName(id.String()))
}

// WorkspaceName is the persistent directory of a function, relative to systemd's state directory.
func WorkspaceName(function string) string { return "fnctl-data/" + function }

// Workspace is the persistent directory of a function as the administrator sees it.
func (p Paths) Workspace(function string) string {
	return p.join("var/lib/private", WorkspaceName(function))
}

// WorkspaceLink is the link to a function's persistent directory that systemd makes, and that the app is given.
func (p Paths) WorkspaceLink(function string) string {
	return p.join("var/lib", WorkspaceName(function))
}

// Instances is the directory of instance sockets: a socket file that exists is an instance that may be used.
func (p Paths) Instances() string { return p.join("run/fnctl/instances") }

// InstanceSocket is the socket file of one instance.
func (p Paths) InstanceSocket(id InstanceID) string {
	return filepath.Join(p.Instances(), id.String()+".sock")
}

// Mark is the file of a mark of one instance.
func (p Paths) Mark(id InstanceID, mark Mark) string {
	return filepath.Join(p.Instances(), id.String()+mark.suffix())
}

// StandbyUses is the file in which the activator keeps how often revisions with instances in standby are used.
func (p Paths) StandbyUses() string { return p.join("run/fnctl/standby.json") }

// Failures is the directory of failures.
func (p Paths) Failures() string { return p.join("run/fnctl/failures") }

// Failure is the file of a revision's failure.
func (p Paths) Failure(id RevisionID) string {
	return filepath.Join(p.Failures(), id.String()+".json")
}

// ProxySocket is the gateway's for a proxy on the same machine, whose X-Forwarded fields are believed. It need not be there.
func (p Paths) ProxySocket() string { return p.join("run/fnctl/proxy.sock") }

// PathGatewayRoute begins the page of the gateway's status socket that has the route by which the requests to a function go, as
// JSON, or null.
const PathGatewayRoute = "/routes/"

// GatewaySocket serves the gateway's metrics and health over HTTP.
func (p Paths) GatewaySocket() string { return p.join("run/fnctl/gateway.sock") }

// ActivatorSocket serves the activator's metrics and decisions over HTTP.
func (p Paths) ActivatorSocket() string { return p.join("run/fnctl/activator.sock") }

// Cgroup is the root of the unified cgroup hierarchy.
func (p Paths) Cgroup() string { return p.join("sys/fs/cgroup") }
