package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fnctl/fnctl/platform/keys"
)

// configNames are the names of a configuration in an app directory, the first one found wins.
var configNames = []string{"jcloud.yml", "jcloud.yaml"}

// LoadConfig reads the configuration of an app: the file explicit if it is given, else jcloud.yml, else jcloud.yaml in
// dir, else the defaults. It returns the path that it read, "" for the defaults.
func LoadConfig(dir, explicit string) (Config, string, error) {
	path, err := findConfig(dir, explicit)
	if err != nil {
		return Config{}, "", err
	}
	if path == "" {
		return DefaultConfig(), "", nil
	}
	data, err := readConfig(path)
	if err != nil {
		return Config{}, "", fmt.Errorf("read configuration: %w", err)
	}
	config, err := ParseConfig(path, data)
	return config, path, err
}

// readConfig reads a file of a project. What is a file descriptor is no project's: shells write <(…) like that.
func readConfig(path string) ([]byte, error) {
	if clean := filepath.Clean(path); strings.HasPrefix(clean, "/dev/") || strings.HasPrefix(clean, "/proc/self/fd/") {
		return keys.ReadFile(path)
	}
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return ReadBeneath(root, filepath.Base(path), keys.MaxFileSize+1)
}

func findConfig(dir, explicit string) (string, error) {
	if explicit != "" {
		return explicit, nil
	}
	for _, name := range configNames {
		path := filepath.Join(dir, name)
		// A link that leads nowhere is a mistake to report, not an absent file: hence Lstat.
		switch _, err := os.Lstat(path); {
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("find configuration: %w", err)
		}
	}
	return "", nil
}
