package platform

import (
	"fmt"
	"os"
	"path/filepath"
)

// CheckReadOnlyPaths returns an error about the first path of a configuration that is not there, or that other users of the machine
// cannot read: nothing is opened to a function that was closed to them.
func CheckReadOnlyPaths(paths []string) error {
	for _, path := range paths {
		if err := checkReadable(path); err != nil {
			return fmt.Errorf("read_only_paths: %w", err)
		}
	}
	return nil
}

func checkReadable(path string) error {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if resolved != path {
		return WithHint(fmt.Errorf("%s leads to %s by a link", path, resolved), "name %s", resolved)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is neither a file nor a directory", path)
	}
	needed := os.FileMode(0o004)
	if info.IsDir() {
		needed = 0o005
	}
	for at := path; ; at, needed = filepath.Dir(at), 0o001 {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&needed != needed {
			return WithHint(fmt.Errorf("other users of the machine cannot read %s: %s has the mode %04o", path, at, info.Mode().Perm()), "chmod o+rx %s", at)
		}
		if at == "/" {
			return nil
		}
	}
}
