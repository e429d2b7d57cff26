package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/fnctl/fnctl/platform"
)

func passphraseFlag() cli.Flag {
	return &cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` whose first line is the passphrase; without it, the terminal is asked"}
}

// newPassphrase asks for a passphrase to encrypt with.
func newPassphrase(c *cli.Context) (string, error) {
	passphrase, err := oldPassphrase(c)
	if err != nil || c.IsSet("passphrase-file") {
		return passphrase, err
	}
	again, err := askPassphrase(c.App.ErrWriter, "the passphrase again: ")
	if err == nil && again != passphrase {
		err = errors.New("the two passphrases differ")
	}
	return passphrase, err
}

// oldPassphrase asks for a passphrase to decrypt with.
func oldPassphrase(c *cli.Context) (string, error) {
	var passphrase string
	var err error
	switch {
	case c.IsSet("passphrase-file"):
		passphrase, err = readPassphrase(c.String("passphrase-file"))
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return "", platform.UsageError(platform.WithHint(errors.New("there is no terminal to ask for the passphrase"), "--passphrase-file FILE"))
	default:
		passphrase, err = askPassphrase(c.App.ErrWriter, "passphrase (it is not shown): ")
	}
	if err == nil && passphrase == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read the passphrase: %w", err)
	}
	return passphrase, nil
}

func askPassphrase(w io.Writer, prompt string) (string, error) {
	fmt.Fprint(w, prompt)
	defer fmt.Fprintln(w)
	passphrase, err := term.ReadPassword(int(os.Stdin.Fd()))
	return string(passphrase), err
}

func readPassphrase(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := readLimited(file)
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r"))), err
}
