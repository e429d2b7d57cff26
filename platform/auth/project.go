package auth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
)

// ProjectUsers reads and checks the file of users in an app's directory. It must lie there itself, so that what a deploy leaves out is
// what has the hashes.
func ProjectUsers(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err := platform.ReadBeneath(root, name, MaxUsersFile+1)
	file := filepath.Join(dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, platform.WithHint(fmt.Errorf("auth.basic.users: there is no %s", file), "htpasswd -B -C 10 -c %s NAME", file)
	case err != nil:
		return nil, fmt.Errorf("auth.basic.users: %w", err)
	case len(data) > MaxUsersFile:
		return nil, fmt.Errorf("auth.basic.users: %s is larger than %d bytes", file, MaxUsersFile)
	}
	if isLinked(dir, name) {
		err := fmt.Errorf("auth.basic.users: %s is reached through a link: the file that it leads to would be deployed", file)
		return nil, platform.WithHint(err, "name the file itself")
	}
	if _, err := ParseUsers(file, data); err != nil {
		return nil, err
	}
	return data, nil
}

// isLinked reports whether a file in a directory has another path there, too.
func isLinked(dir, name string) bool {
	base, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return true
	}
	file, err := filepath.EvalSymlinks(filepath.Join(dir, name))
	return err != nil || file != filepath.Join(base, name)
}
