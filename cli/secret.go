package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

func secretCommand() *cli.Command {
	return &cli.Command{
		Name:      "secret",
		Usage:     "list or change the secret environment variables of a function",
		UsageText: "secret NAME list | set KEY [--file FILE] | unset KEY… [-o json]",
		Description: "The value is read from FILE, or else from standard input, without a line feed at its end: an argument could be\n" +
			"seen by every user of the machine. It is never shown again. A change makes a new revision, as with fnctl env, and\n" +
			"holds through all further deploys, until it is unset or a deploy has --secret.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Usage: "`FILE` that holds the value; - is standard input"},
			outputFlag(), verboseFlag(),
		},
		BashComplete: completeVariables,
		Action:       secret,
	}
}

func secret(c *cli.Context) error {
	name, verb, args, err := parseVariables(c)
	switch {
	case err != nil:
		return err
	case verb != "set" && c.IsSet("file"):
		return usageError{errors.New("secret: --file is for set")}
	case verb == "list":
		return listSecrets(c, name)
	case verb == "unset":
		return changeVariables(c, name, func(v variables) error {
			v.config = nil // no secret comes from there
			return unset(v, v.secrets, args)
		})
	}
	given, err := readSecret(c, args)
	if err != nil {
		return err
	}
	return changeVariables(c, name, func(v variables) error {
		maps.Copy(v.secrets, given)
		return nil
	})
}

// readSecret reads the value of one secret. No error has anything of it, nor of what may be one by mistake.
func readSecret(c *cli.Context, args []string) (map[string]string, error) {
	if len(args) > 1 || strings.Contains(args[0], "=") {
		return nil, withHint(usageError{errors.New("secret: set takes one KEY and never a value: arguments can be seen by every user")},
			"fnctl secret NAME set KEY < FILE")
	}
	if err := platform.CheckEnvName(args[0]); err != nil {
		return nil, usageError{fmt.Errorf("secret: %w", err)}
	}
	value, err := secretValue(c)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	given := map[string]string{args[0]: value}
	if _, err := units.EnvFile(given); err != nil { // what systemd cannot pass on
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	return given, nil
}

func secretValue(c *cli.Context) (string, error) {
	data, err := secretData(c)
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		return "", err
	case len(value) > envLimit:
		return "", fmt.Errorf("it is larger than %d bytes", envLimit)
	case value == "":
		return "", errors.New("it is empty")
	}
	return value, nil
}

func secretData(c *cli.Context) ([]byte, error) {
	if path := c.String("file"); path != "" && path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return readLimited(file)
	}
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		fmt.Fprint(c.App.ErrWriter, "value (it is not shown): ")
		defer fmt.Fprintln(c.App.ErrWriter)
		return term.ReadPassword(fd)
	}
	return readLimited(os.Stdin)
}

func readLimited(from io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(from, envLimit+2)) }

func listSecrets(c *cli.Context, name string) error {
	v, err := readVariables(name)
	if err != nil {
		return err
	}
	names := slices.AppendSeq([]string{}, maps.Keys(v.secrets))
	slices.Sort(names)
	if wantsJSON(c) {
		return printJSON(c.App.Writer, names)
	}
	for _, name := range names {
		fmt.Fprintln(c.App.Writer, name)
	}
	return nil
}
