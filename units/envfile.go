package units

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// EnvFile writes variables in the format of EnvironmentFile= (systemd.exec(5)), sorted by name, so that each value
// reaches the app literally. The error names the variable and never holds its value.
func EnvFile(env map[string]string) ([]byte, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if err := checkEnvValue(env[name]); err != nil {
			return nil, fmt.Errorf("environment variable %s: %w", name, err)
		}
		fmt.Fprintf(&b, "%s=\"%s\"\n", name, envEscaper.Replace(env[name]))
	}
	return []byte(b.String()), nil
}

var envEscaper = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`)

// checkEnvValue refuses the values that systemd would leave out of the environment without failing.
func checkEnvValue(value string) error {
	if err := checkText(value); err != nil {
		return err
	}
	for _, r := range value {
		if r < ' ' && r != '\t' && r != '\n' || r == 0x7f {
			return fmt.Errorf("%w: it has the control character %U (tabs and line feeds are allowed)", ErrText, r)
		}
	}
	return nil
}

var envUnescaper = strings.NewReplacer(`\\`, `\`, `\"`, `"`, "\\`", "`", `\$`, `$`)

// envEntry is a variable as EnvFile writes it; its value may have several lines.
var envEntry = regexp.MustCompile(`(?s)\A([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"\n`)

// ParseEnvFile reads what EnvFile has written. The error never holds a value.
func ParseEnvFile(data []byte) (map[string]string, error) {
	env := map[string]string{}
	for len(data) > 0 {
		m := envEntry.FindSubmatch(data)
		if m == nil {
			return nil, fmt.Errorf("it is damaged after %d variables", len(env))
		}
		env[string(m[1])] = envUnescaper.Replace(string(m[2]))
		data = data[len(m[0]):]
	}
	return env, nil
}
