package units

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// SecretScript writes secrets as commands of a POSIX shell that export them literally, sorted by name. The error names the
// secret and never holds its value.
func SecretScript(secrets map[string]string) ([]byte, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if err := CheckSecret(name, secrets[name]); err != nil {
			return nil, fmt.Errorf("secret %s: %w", name, err)
		}
		// In single quotes nothing but their end has a meaning, in any shell and any encoding.
		fmt.Fprintf(&b, "export %s='%s'\n", name, strings.ReplaceAll(secrets[name], `'`, `'\''`))
	}
	return []byte(b.String()), nil
}

// secretLimit is what Linux takes as one variable, with its name, the equals sign and a NUL (MAX_ARG_STRLEN in execve(2)).
const secretLimit = 128 << 10

// shellNames are variables that bash or dash does not let a script set to anything.
var shellNames = []string{
	"BASHOPTS", "BASHPID", "BASH_VERSINFO", "EUID", "LINENO", "OPTIND", "PPID", "RANDOM", "SECONDS", "SHELLOPTS", "UID",
}

// CheckSecret says why a secret cannot be handed over, which for every other valid name and text it can.
func CheckSecret(name, value string) error {
	if slices.Contains(shellNames, name) {
		return errors.New("the shell has a variable of this name: choose another")
	}
	if size := len(name) + len(value) + len("=\x00"); size > secretLimit {
		return fmt.Errorf("it is larger than the %d KiB that a variable may have", secretLimit>>10)
	}
	return checkText(value)
}

// secretEntry is a secret as SecretScript writes it; its value may have several lines.
var secretEntry = regexp.MustCompile(`\Aexport ([A-Za-z_][A-Za-z0-9_]*)='((?:[^']|'\\'')*)'\n`)

// ParseSecretScript reads what SecretScript has written. The error never holds a value.
func ParseSecretScript(data []byte) (map[string]string, error) {
	secrets := map[string]string{}
	for len(data) > 0 {
		m := secretEntry.FindSubmatch(data)
		if m == nil {
			return nil, fmt.Errorf("it is damaged after %d secrets", len(secrets))
		}
		secrets[string(m[1])] = strings.ReplaceAll(string(m[2]), `'\''`, `'`)
		data = data[len(m[0]):]
	}
	return secrets, nil
}
