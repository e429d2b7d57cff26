package cli

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units"
)

func backupCommand() *cli.Command {
	return &cli.Command{
		Name:      "backup",
		Usage:     "write functions, with all that belongs to them, into one encrypted file",
		UsageText: "backup FILE [NAME…] [--data] [--passphrase-file FILE]",
		Description: "Without NAME, all functions: their revisions, routes, scale, variables and secrets. With --data also what they keep\n" +
			"in JCLOUD_WORKSPACE; pause a function first if it must not write meanwhile. FILE is replaced as a whole; - is\n" +
			"standard output. It is encrypted with a passphrase, in age's format: \"age -d FILE | tar -tz\" lists what it has.\n" +
			"fnctl restore takes it, on this machine or another one.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "data", Usage: "also what the functions keep in JCLOUD_WORKSPACE"},
			passphraseFlag(),
		},
		BashComplete: func(c *cli.Context) {
			if c.NArg() > 0 {
				printFunctions(c)
			}
		},
		Action: backup,
	}
}

func backup(c *cli.Context) error {
	if c.NArg() == 0 {
		return platform.WithHint(platform.UsageError(errors.New("backup: FILE is missing")), "usage: %s", c.Command.UsageText)
	}
	if err := requireRoot("backup"); err != nil {
		return err
	}
	names, err := functionsToBackUp(c.Args().Tail())
	if err != nil {
		return err
	}
	passphrase, err := newPassphrase(c)
	if err != nil {
		return err
	}
	b := backupWriter{paths: paths(), store: store(), progress: newProgress(c.App.ErrWriter), data: c.Bool("data")}
	file := c.Args().First()
	if file == "-" {
		return b.write(c.Context, c.App.Writer, names, passphrase)
	}
	return platform.ReplaceFile(file, 0o600, func(w io.Writer) error { return b.write(c.Context, w, names, passphrase) })
}

func functionsToBackUp(given []string) ([]string, error) {
	if len(given) == 0 {
		return store().Functions()
	}
	for _, name := range given {
		if err := checkDeployed(name); err != nil {
			return nil, err
		}
	}
	return given, nil
}

// backupFormat is what this version writes. One that it doesn't know is refused.
const backupFormat = 1

// The members of a backup: its description, which is the first, the settings of the machine that it was made on, and the
// directories of functions and of their data.
const (
	manifestMember  = "fnctl-backup.json"
	settingsMember  = "fnctl.yml"
	functionsMember = "functions"
	dataMember      = "data"
)

// manifest says what is in a backup.
type manifest struct {
	Format    int       `json:"format"`
	Version   string    `json:"version"`
	Created   time.Time `json:"created"`
	Functions []string  `json:"functions"`
	Data      bool      `json:"data"`
}

// backupWriter writes functions into a file: a tar, compressed with gzip, encrypted in age's format.
type backupWriter struct {
	paths    platform.Paths
	store    platform.Store
	progress *progress
	data     bool
}

func (b backupWriter) write(ctx context.Context, w io.Writer, names []string, passphrase string) error {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	encrypted, err := age.Encrypt(w, recipient)
	if err != nil {
		return fmt.Errorf("encrypt the backup: %w", err)
	}
	buffered := bufio.NewWriterSize(encrypted, 1<<20)
	compressed := gzip.NewWriter(buffered)
	archive := snapshot.NewArchive(compressed)
	if err := b.writeAll(ctx, archive, names); err != nil {
		return err
	}
	for _, end := range []func() error{archive.Close, compressed.Close, buffered.Flush, encrypted.Close} {
		if err := end(); err != nil {
			return fmt.Errorf("write the backup: %w", err)
		}
	}
	return nil
}

func (b backupWriter) writeAll(ctx context.Context, archive *snapshot.Archive, names []string) error {
	text, err := json.MarshalIndent(manifest{
		Format: backupFormat, Version: Version(), Created: time.Now().UTC().Truncate(time.Second), Functions: names, Data: b.data,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := archive.AddFile(manifestMember, text); err != nil {
		return err
	}
	if settings, err := os.ReadFile(b.paths.Settings()); err == nil {
		if err := archive.AddFile(settingsMember, settings); err != nil {
			return err
		}
	}
	for _, name := range names {
		err := b.progress.run("reading "+name, func() (string, error) { return "read " + name, b.writeFunction(ctx, archive, name) })
		if err != nil {
			return err
		}
	}
	for _, member := range archive.Truncated {
		b.progress.note("%q became shorter while it was read: what is missing is zeros in the backup", member)
	}
	return nil
}

// writeFunction adds one function, under its lock, so that its parts fit together.
func (b backupWriter) writeFunction(ctx context.Context, archive *snapshot.Archive, name string) error {
	unlock, err := lockFunction(ctx, b.store, name, b.progress, false)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := b.store.Route(name); err != nil {
		return platform.WithHint(err, "deploy %s again, or name the functions to back up", name)
	}
	if err := archive.AddTree(ctx, b.paths.Function(name), path.Join(functionsMember, name), isLeftOut); err != nil {
		return err
	}
	if err := b.writeSecrets(ctx, archive, name); err != nil {
		return err
	}
	if workspace := b.paths.Workspace(name); b.data && exists(workspace) {
		return archive.AddTree(ctx, workspace, path.Join(dataMember, name), func(string) bool { return false })
	}
	return nil
}

// isLeftOut chooses what is not taken as it is on the disk.
func isLeftOut(member string) bool { return isSecret(member) || isUnfinished(member) }

// isSecret recognizes the secrets of a revision: on the disk they are encrypted with a key of this machine. In a backup, and
// on the disk of earlier versions, they are functions/NAME/revisions/00001/secrets.
func isSecret(member string) bool {
	parts := strings.Split(member, "/")
	return len(parts) == 5 && parts[0] == functionsMember && (parts[4] == platform.SecretsFile || parts[4] == platform.CredentialsDir)
}

// isUnfinished recognizes what a command that was killed has left beside route.json, or beside the revisions.
func isUnfinished(member string) bool {
	depth := strings.Count(member, "/")
	return (depth == 2 || depth == 3) && strings.HasPrefix(path.Base(member), ".")
}

func (b backupWriter) writeSecrets(ctx context.Context, archive *snapshot.Archive, name string) error {
	revisions, err := b.store.ReadRevisions(name)
	if err != nil {
		return err
	}
	for _, rev := range revisions {
		secrets, err := readSecrets(ctx, b.paths, rev)
		if err != nil {
			return err
		}
		data, err := units.SecretScript(secrets)
		if err != nil {
			return err
		}
		if err := archive.AddFile(secretsMember(rev.ID), data); err != nil {
			return err
		}
	}
	return nil
}

// secretsMember has the secrets of a revision, in the format of units.SecretScript.
func secretsMember(id platform.RevisionID) string {
	return path.Join(functionsMember, id.Function, "revisions", fmt.Sprintf("%05d", id.Number), platform.SecretsFile)
}
