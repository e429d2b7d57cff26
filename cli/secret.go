package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/secrets"
)

func secretCommand() *cli.Command {
	return &cli.Command{
		Name:      "secret",
		Usage:     "list or change the secret environment variables of a function",
		UsageText: "secret NAME list | set KEY [--file FILE] | unset KEY… [-o json]",
		Description: "The value is read from FILE, or else from standard input, without a line feed at its end: an argument could be\n" +
			"seen by every user of the machine. It is never shown again, and encrypted with a key of the machine. The app has it\n" +
			"as the variable KEY and as the file $CREDENTIALS_DIRECTORY/KEY. A change makes a new revision, as with fnctl env,\n" +
			"and holds through all further deploys, until it is unset or a deploy has --secret.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Usage: "`FILE` that holds the value; - is standard input"},
			noWaitFlag(), outputFlag(), verboseFlag(),
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
		return platform.UsageError(errors.New("secret: --file is for set"))
	case verb == "list":
		return listSecrets(c, name)
	case verb == "unset":
		return changeVariables(c, name, func(function *deploy.Function) (deploy.Deployed, error) {
			return function.UnsetSecrets(c.Context, args, c.Bool("verbose"))
		})
	}
	given, err := readSecret(c, args)
	if err != nil {
		return err
	}
	return changeVariables(c, name, func(function *deploy.Function) (deploy.Deployed, error) {
		return function.SetSecrets(c.Context, given, c.Bool("verbose"))
	})
}

// readSecret reads the value of one secret. No error has anything of it, nor of what may be one by mistake.
func readSecret(c *cli.Context, args []string) (map[string]string, error) {
	if len(args) > 1 || strings.Contains(args[0], "=") {
		return nil, platform.WithHint(platform.UsageError(errors.New("secret: set takes one KEY and never a value: arguments can be seen by every user")),
			"fnctl secret NAME set KEY < FILE")
	}
	if err := platform.CheckEnvName(args[0]); err != nil {
		return nil, platform.UsageError(fmt.Errorf("secret: %w", err))
	}
	value, err := secretValue(c)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	given := map[string]string{args[0]: value}
	if err := secrets.Check(given); err != nil {
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
	case len(value) > deploy.EnvLimit:
		return "", fmt.Errorf("it is larger than %d bytes", deploy.EnvLimit)
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

func readLimited(from io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(from, deploy.EnvLimit+2))
}

func listSecrets(c *cli.Context, name string) error {
	v, err := readVariables(c, name)
	if err != nil {
		return err
	}
	names, err := secrets.Names(paths(), v.Revision)
	if err != nil {
		return err
	}
	if wantsJSON(c) {
		return printJSON(c.App.Writer, append([]string{}, names...))
	}
	for _, name := range names {
		fmt.Fprintln(c.App.Writer, name)
	}
	if len(names) > 0 {
		fmt.Fprintf(c.App.ErrWriter, "at rest: %s\n", secretsAtRest(c.Context, v.Revision))
	}
	return nil
}

// secretsAtRest says how the secrets of a revision, which has some, are kept.
func secretsAtRest(ctx context.Context, rev platform.Revision) string {
	if rev.Secrets != nil && rev.Secrets.Encrypted {
		return "encrypted with the key of this machine, " + secrets.HostKey
	}
	if err := secrets.CanEncrypt(ctx); err != nil {
		return fmt.Sprintf("plain text, mode 0600: %v", err)
	}
	return "plain text, mode 0600: the next deploy encrypts them"
}
