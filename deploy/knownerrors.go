package deploy

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/fnctl/fnctl/build"
	"github.com/fnctl/fnctl/journal"
	"github.com/fnctl/fnctl/platform"
)

// knownError is something that servers and interpreters print about an app that they cannot run, what it means, and what to
// do. $1 and $2 are what the pattern finds.
type knownError struct {
	pattern      *regexp.Regexp
	reason, hint string
	// server runs apps of the interface that this one has, if that is what is wrong.
	server platform.Runtime
}

// isAbout reports whether an app that a runtime runs can have this error: one that a server takes as it is has none of interface.
func (e knownError) isAbout(runtime platform.Runtime) bool {
	return e.server == "" || runtime.IsServer() && runtime.IsWSGI() != e.server.IsWSGI()
}

const nameTheObject = "APP is module:attr: main:app is the object app in main.py"

// missingModule is what Python prints of a module that is not installed.
var missingModule = regexp.MustCompile(`No module named '?([\w.]+)`)

// notListening is what the shim says of a program that takes its time, which may have another reason.
var notListening = regexp.MustCompile(`it (?:never listened|does not listen) on port \d+ \(\$PORT\)`)

// knownErrors are looked for in this order.
var knownErrors = []knownError{
	{pattern: regexp.MustCompile(`Attribute "([^"]+)" not found in module "([^"]+)"`), reason: "the module $2 has no attribute $1", hint: nameTheObject},
	{pattern: regexp.MustCompile(`Failed to find attribute '([^']+)' in '([^']+)'`), reason: "the module $2 has no attribute $1", hint: nameTheObject},
	{pattern: regexp.MustCompile(`Cannot load application from '([^':]+):([^']+)', application not found`), reason: "the module $1 has no attribute $2", hint: nameTheObject},
	{pattern: missingModule, reason: "it imports $1, which is not installed",
		hint: "write it into requirements.txt, or install it for all apps (apt-get install python3-…)"},
	{pattern: regexp.MustCompile(`Cannot find (?:module|package) '([^'./][^']*)'`), reason: "it needs $1, which is not installed",
		hint: "npm ci --omit=dev in the app's directory, and deploy it with its node_modules: \"!node_modules/\" in .fnctlignore takes back what .gitignore leaves out"},
	{pattern: regexp.MustCompile(`database is locked|[Cc]ould not set lock on file|Conflicting lock is held|While lock file: .*Resource temporarily unavailable|BlockingIOError: .*Resource temporarily unavailable`),
		reason: "it wants a lock that another process has ($0)", hint: overlapHint},
	{pattern: regexp.MustCompile(`missing 1 required positional argument: 'start_response'`), reason: "it is a WSGI application, and its server wants ASGI",
		hint: "runtime: gunicorn in jcloud.yml", server: platform.RuntimeGunicorn},
	{pattern: regexp.MustCompile(`missing 1 required positional argument: 'send'`), reason: "it is an ASGI application, and its server wants WSGI",
		hint: "runtime: uvicorn in jcloud.yml", server: platform.RuntimeUvicorn},
	{pattern: notListening, reason: "$0",
		hint: "the program must listen where the variable PORT says; one that takes a socket has runtime: socket in jcloud.yml"},
}

// findKnownError returns the first known error that there is in the lines of an app that a runtime runs, and its reason in full.
func findKnownError(lines []string, runtime platform.Runtime) (found knownError, reason string) {
	for _, c := range knownErrors {
		if !c.isAbout(runtime) {
			continue
		}
		for _, line := range lines {
			if at := c.pattern.FindStringSubmatchIndex(line); at != nil {
				return c, string(c.pattern.ExpandString(nil, c.reason, line, at))
			}
		}
	}
	return knownError{}, ""
}

// whyFailed is why an instance failed, as far as its lines say so, and what to do: "" if they say nothing that is known.
func (s starter) whyFailed(ctx context.Context, id platform.InstanceID, runtime platform.Runtime, lines []string) (reason, hint string) {
	known, reason := findKnownError(lines, runtime)
	if reason == "" || known.pattern == notListening {
		if taken, hint := s.explainPort(ctx, id, lines); taken != "" {
			return taken, hint
		}
	}
	if reason != "" && known.pattern == missingModule {
		// It may be named, but where nothing is installed from.
		return reason, cmp.Or(build.HowToRequire(s.Store.Paths.Snapshot(id.Revision)), known.hint)
	}
	return reason, known.hint
}

// WhyFailed is why an instance of a revision failed between two moments, as far as what it printed says so, and what to do: "" if it says
// nothing that is known.
func (e *Engine) WhyFailed(ctx context.Context, id platform.InstanceID, since, until time.Time) (reason, hint string) {
	rev, err := e.Store.Revision(id.Revision)
	if err != nil {
		return "", ""
	}
	return starter{e}.whyFailed(ctx, id, rev.Runtime, journal.LinesUntil(id.Service(), since, until, reasonLines))
}

// checkInterface finds an app that its server takes for one of the other interface: that answers, but each time with a 500.
// It is asked once more, so that what the server has to say of the first time is in the journal.
func (s starter) checkInterface(ctx context.Context, check healthcheck, id platform.InstanceID, runtime platform.Runtime, since time.Time) error {
	status, err := check.ask(ctx)
	if err != nil || status != http.StatusInternalServerError {
		return nil //nolint:nilerr // it has answered before, and that is enough
	}
	if c, _ := findKnownError(journal.Lines(id.Service(), since, appLines), runtime); c.server != "" {
		return fmt.Errorf("it answers with %d %s", status, http.StatusText(status))
	}
	return nil
}
