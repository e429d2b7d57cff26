package doctor

import (
	"context"
	"os"
	"os/exec"
	"strings"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/secrets"
	"github.com/fnctl/fnctl/workspace"
)

// checkSecrets tells how secrets are kept on the disk.
func (e *examination) checkSecrets(context.Context) error {
	if _, err := exec.LookPath("systemd-creds"); err != nil {
		e.warn("systemd 250 or newer has it", "they are kept in plain text, which only root can read: systemd-creds is missing")
		return nil
	}
	if os.Geteuid() != 0 {
		e.ok("only root can look at them")
		return nil
	}
	names, err := e.store.Functions()
	if err != nil {
		return err
	}
	var plain []string
	for _, name := range names {
		if rev, err := deploy.KeptSecrets(e.store, name); err == nil && e.hasPlainSecrets(rev) {
			plain = append(plain, name)
		}
	}
	if len(plain) > 0 {
		e.warn("deploy them again, with --force if nothing else has changed", "those of %s are plain text, which only root can read", strings.Join(plain, ", "))
		return nil
	}
	e.ok("they are encrypted on the disk")
	return nil
}

func (e *examination) hasPlainSecrets(rev platform.Revision) bool {
	if rev.Secrets != nil {
		return !rev.Secrets.Encrypted
	}
	names, err := secrets.Names(e.store.Paths, rev)
	return err == nil && len(names) > 0
}

// checkQuotas reports whether disk_size is enforced.
func (e *examination) checkQuotas(context.Context) error {
	if err := workspace.CheckQuotas(e.store.Paths); err != nil {
		e.warn("mount /var/lib with project quotas (prjquota on ext4 and XFS), if functions are to be limited", "disk_size is not enforced: %v", err)
		return nil
	}
	e.ok("disk_size is enforced")
	return nil
}
