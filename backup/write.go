package backup

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/secrets"
	"github.com/fnctl/fnctl/snapshot"
	"github.com/fnctl/fnctl/units"
)

// Writer writes functions into a file: a tar, compressed with gzip, encrypted in age's format.
type Writer struct {
	*deploy.Engine
	// Data adds the persistent data of the functions.
	Data bool
}

// Write writes functions, encrypted with a passphrase.
func (w Writer) Write(ctx context.Context, to io.Writer, names []string, passphrase string) error {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	encrypted, err := age.Encrypt(to, recipient)
	if err != nil {
		return fmt.Errorf("encrypt the backup: %w", err)
	}
	buffered := bufio.NewWriterSize(encrypted, 1<<20)
	compressed := gzip.NewWriter(buffered)
	archive := snapshot.NewArchive(compressed)
	if err := w.writeAll(ctx, archive, names); err != nil {
		return err
	}
	for _, end := range []func() error{archive.Close, compressed.Close, buffered.Flush, encrypted.Close} {
		if err := end(); err != nil {
			return fmt.Errorf("write the backup: %w", err)
		}
	}
	return nil
}

func (w Writer) writeAll(ctx context.Context, archive *snapshot.Archive, names []string) error {
	text, err := json.MarshalIndent(Manifest{
		Format: format, Version: w.Version, Created: time.Now().UTC().Truncate(time.Second), Functions: names, Data: w.Data,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := archive.AddFile(manifestMember, text); err != nil {
		return err
	}
	if settings, err := os.ReadFile(w.Store.Paths.Settings()); err == nil {
		if err := archive.AddFile(settingsMember, settings); err != nil {
			return err
		}
	}
	for _, name := range names {
		err := w.Progress.Step("reading "+name, func() (string, error) { return "read " + name, w.writeFunction(ctx, archive, name) })
		if err != nil {
			return err
		}
	}
	for _, member := range archive.Truncated {
		w.Progress.Note("%q became shorter while it was read: what is missing is zeros in the backup", member)
	}
	return nil
}

// writeFunction adds one function, under its lock, so that its parts fit together.
func (w Writer) writeFunction(ctx context.Context, archive *snapshot.Archive, name string) error {
	function, err := w.Open(ctx, name)
	if err != nil {
		return err
	}
	defer function.Close()
	if _, err := w.Store.Route(name); err != nil {
		return platform.WithHint(err, "deploy %s again, or name the functions to back up", name)
	}
	if err := archive.AddTree(ctx, w.Store.Paths.Function(name), path.Join(functionsMember, name), isLeftOut); err != nil {
		return err
	}
	if err := w.writeSecrets(ctx, archive, name); err != nil {
		return err
	}
	if workspace := w.Store.Paths.Workspace(name); w.Data && platform.Exists(workspace) {
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

func (w Writer) writeSecrets(ctx context.Context, archive *snapshot.Archive, name string) error {
	revisions, err := w.Store.ReadRevisions(name)
	if err != nil {
		return err
	}
	for _, rev := range revisions {
		values, err := secrets.Read(ctx, w.Store.Paths, rev)
		if err != nil {
			return err
		}
		data, err := units.SecretScript(values)
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
