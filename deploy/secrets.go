package deploy

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/secrets"
)

// secretPlan describes the secrets of the next revision, and where they come from.
type secretPlan struct {
	// described is nil if there are none.
	described *platform.Secrets
	// shared is the revision whose files are taken as they are; without one, those of the values are written.
	shared platform.RevisionID
	values map[string]string
}

// planSecrets decides on the secrets: those that are given, or else those of the revision that serves.
func (d *deployment) planSecrets(ctx context.Context) error {
	values := d.request.Secrets
	if values == nil {
		kept, err := KeptSecrets(d.Store, d.Name)
		if err != nil || kept.ID.Number == 0 {
			return err
		}
		if kept.Secrets != nil && (kept.Secrets.Encrypted || secrets.CanEncrypt(ctx) != nil) {
			d.secrets = secretPlan{described: kept.Secrets, shared: kept.ID}
			return ctx.Err()
		}
		// They are in plain text, and need no longer be.
		if values, err = secrets.Read(ctx, d.Store.Paths, kept); err != nil {
			return err
		}
	}
	if err := secrets.Check(values); err != nil {
		return err
	}
	d.secrets = secretPlan{values: values}
	if len(values) == 0 {
		return nil
	}
	cannot := secrets.CanEncrypt(ctx)
	if cannot != nil {
		d.Progress.Note("the secrets are kept in plain text, which only root can read: %v", cannot)
	}
	d.secrets.described = &platform.Secrets{Names: slices.Sorted(maps.Keys(values)), Encrypted: cannot == nil}
	return ctx.Err() // one that was interrupted could not encrypt
}

// describeSecrets foretells what planSecrets would decide, for those who may neither read nor encrypt them.
func (e *Engine) describeSecrets(r Request) (*platform.Secrets, error) {
	_, missing := exec.LookPath("systemd-creds")
	described := &platform.Secrets{Names: slices.Sorted(maps.Keys(r.Secrets)), Encrypted: missing == nil}
	if r.Secrets == nil {
		kept, err := KeptSecrets(e.Store, r.Name)
		if err != nil {
			return nil, err
		}
		described = kept.Secrets
	}
	if described == nil || len(described.Names) == 0 {
		return nil, nil
	}
	return described, nil
}

func (p secretPlan) write(ctx context.Context, paths platform.Paths, dir string) error {
	dir = filepath.Join(dir, platform.CredentialsDir)
	switch {
	case p.described == nil:
		return nil
	case p.shared.Number > 0:
		return secrets.Share(paths.Credentials(p.shared), dir)
	}
	return secrets.Write(ctx, dir, p.values, p.described.Encrypted)
}

// same reports whether a revision has these secrets. What cannot be decrypted is not the same, so that a deploy replaces it.
func (p secretPlan) same(ctx context.Context, paths platform.Paths, rev platform.Revision) bool {
	if p.shared.Number > 0 {
		return p.shared == rev.ID
	}
	values, err := secrets.Read(ctx, paths, rev)
	return err == nil && maps.Equal(p.values, values)
}

// KeptSecrets returns the revision whose secrets the next one keeps, without a number if there is none.
func KeptSecrets(store platform.Store, function string) (platform.Revision, error) {
	id, err := serving(store, function)
	if err != nil || id.Number == 0 {
		return platform.Revision{}, err
	}
	rev, err := store.Revision(id)
	switch {
	case err == nil:
		return rev, nil
	case !platform.Exists(store.Paths.Credentials(id)):
		return platform.Revision{ID: id}, nil // it is damaged, which a deploy makes good, and no secret is lost
	}
	return rev, platform.WithHint(fmt.Errorf("find the secrets of %s: %w", id, err), "set all of them again, with --secret FILE")
}
