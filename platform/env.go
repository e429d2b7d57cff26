package platform

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

var envNamePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reservedEnv are the variables that the platform, or systemd for it, sets in an instance.
var reservedEnv = []string{
	"CACHE_DIRECTORY", "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY", "HOSTNAME", "INVOCATION_ID", "JCLOUD_WORKSPACE",
	"JOURNAL_STREAM", "K_REVISION", "K_SERVICE", "LISTEN_FDNAMES", "LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID",
	"LOGS_DIRECTORY", "MAINPID", "MANAGERPID", "NOTIFY_SOCKET", "PORT", "RUNTIME_DIRECTORY", "STATE_DIRECTORY",
	"SYSTEMD_EXEC_PID", "WATCHDOG_PID", "WATCHDOG_USEC",
}

// CheckEnvName returns why a user may not set an environment variable of this name, nil if that is allowed. The error doesn't
// contain the name, which may be a piece of a secret.
func CheckEnvName(name string) error {
	if !envNamePattern.MatchString(name) {
		return errors.New("an environment variable is named with letters, digits and underscores, and doesn't start with a digit")
	}
	if slices.Contains(reservedEnv, name) {
		return fmt.Errorf("%s is set by the platform, choose another name", name)
	}
	return nil
}

// envVariables is the kind of environment variables.
var envVariables = keys.Dictionary{
	CheckName: CheckEnvName, CheckValue: checkEnvValue,
	Names: keys.Schema{"pattern": envNamePattern.String(), "not": keys.Schema{"enum": reservedEnv}},
	What:  "a mapping of environment variables to texts",
}

// checkEnvValue returns why Linux cannot give a process a variable with this value, nil if it can.
func checkEnvValue(value string) error {
	// MAX_ARG_STRLEN, less some room for the name.
	const limit = 127 << 10
	if strings.ContainsRune(value, 0) {
		return errors.New("an environment variable must not contain a NUL character")
	}
	if len(value) > limit {
		return fmt.Errorf("an environment variable has at most %d bytes, got %d", limit, len(value))
	}
	return nil
}
