package certificates

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/fnctl/fnctl/platform"
)

const (
	suffix = ".pem"
	// wildcard stands for the star of *.NAME in a file's name. No host begins like this.
	wildcard = "_wildcard"
	// fileMode lets the group of the directory read a file, which is that of the gateway.
	fileMode = 0o640
	// maxHost is the longest host that makes the name of a file, which has 255 bytes at most while it is written.
	maxHost = 220
)

// Store is the directory of the certificates that the gateway serves.
type Store struct{ Dir string }

// StoreOf is the one of a machine.
func StoreOf(p platform.Paths) Store {
	return Store{Dir: filepath.Join(p.Root, "/var/lib/fnctl/certificates")}
}

// checkName returns why there can be no certificate of a host, which may be *.NAME.
func checkName(host string) error {
	if len(host) > maxHost {
		return fmt.Errorf("the host %q has %d characters: a certificate's has %d at most", platform.Clip(host), len(host), maxHost)
	}
	return platform.CheckHost(strings.TrimPrefix(host, "*."))
}

// path is the file of a host, which may be *.NAME.
func (s Store) path(host string) (string, error) {
	if err := checkName(host); err != nil {
		return "", fmt.Errorf("certificate of %q: %w", platform.Clip(host), err)
	}
	name, isWildcard := strings.CutPrefix(host, "*.")
	if isWildcard {
		name = wildcard + "." + name
	}
	return filepath.Join(s.Dir, name+suffix), nil
}

// hostOf returns the host whose file has a name, and whether there is one.
func hostOf(file string) (host string, is bool) {
	name, is := strings.CutSuffix(file, suffix)
	if !is {
		return "", false
	}
	if below, isWildcard := strings.CutPrefix(name, wildcard+"."); isWildcard {
		name = "*." + below
	} else if strings.HasPrefix(name, "*") {
		return "", false
	}
	return name, checkName(name) == nil
}

// Write replaces the certificate of a host by a key and a chain, both in PEM. What does not fit together, or is for another host, is
// refused, and the old one stays.
func (s Store) Write(host string, origin Origin, key, chain []byte) error {
	path, err := s.path(host)
	if err != nil {
		return err
	}
	data, err := encode(origin, key, chain)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", host, err)
	}
	pair, err := decode(data)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", host, err)
	}
	if err := pair.Leaf().VerifyHostname(strings.Replace(host, "*", "any", 1)); err != nil {
		return fmt.Errorf("certificate of %s: %w", host, err)
	}
	return platform.WriteFile(path, data, fileMode)
}

// Read returns the certificate of a host. The error wraps fs.ErrNotExist if there is none.
func (s Store) Read(host string) (*Pair, error) {
	path, err := s.path(host)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pair, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return pair, nil
}

// Remove removes the certificate of a host, if there is one.
func (s Store) Remove(host string) error {
	path, err := s.path(host)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Hosts lists the hosts that have a certificate, *.NAME among them. There is none without the directory.
func (s Store) Hosts() ([]string, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var hosts []string
	for _, entry := range entries {
		if host, is := hostOf(entry.Name()); is {
			hosts = append(hosts, host)
		}
	}
	return hosts, nil
}
