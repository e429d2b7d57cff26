package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

// readUsers reads the file of users in the app's directory, nil if there is none.
func readUsers(dir string, config platform.Config) ([]byte, error) {
	if config.UsersFile() == "" {
		return nil, nil
	}
	return auth.ProjectUsers(dir, config.UsersFile())
}

// usersOf reads the file of users that a revision has, nil if it has none.
func usersOf(paths platform.Paths, rev platform.Revision) ([]byte, error) {
	if rev.Config.UsersFile() == "" {
		return nil, nil
	}
	data, err := os.ReadFile(paths.Users(rev.ID))
	if err != nil {
		return nil, platform.WithHint(fmt.Errorf("read the users of %s: %w", rev.ID, err), "deploy %s again from its directory", rev.ID.Function)
	}
	return data, nil
}

// withoutUsers is what stays behind of the app's directory: who guesses passwords with the hashes does it faster.
func (r Request) withoutUsers() []string {
	if file := r.Config.UsersFile(); file != "" {
		return []string{file}
	}
	return nil
}

// writeUsers writes the file of users for the gateway.
func (r Request) writeUsers(dir string) error {
	if r.users == nil {
		return nil
	}
	return platform.WriteForGateway(filepath.Join(dir, platform.UsersFile), r.users)
}

// hasUsersOf reports whether the users of the request are those of a revision.
func (r Request) hasUsersOf(paths platform.Paths, id platform.RevisionID) bool {
	data, err := os.ReadFile(paths.Users(id))
	if errors.Is(err, fs.ErrNotExist) {
		return r.users == nil
	}
	return err == nil && bytes.Equal(data, r.users)
}
