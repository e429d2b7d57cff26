package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// architectures are those that there are packages for: not every package is linked on each.
var architectures = []string{"amd64", "arm64"}

// thirdPartyNotices are the licences and notices of all modules that are linked into the binary, and of Go itself: each
// demands to be passed on with a binary.
func thirdPartyNotices() ([]byte, error) {
	linked := map[string]*notice{}
	for _, arch := range architectures {
		if err := collectNotices(linked, arch); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	b.WriteString("/usr/bin/fnctl is linked with the software below, under these terms.\n")
	for _, name := range slices.Sorted(maps.Keys(linked)) {
		text, err := linked[name].text(name)
		if err != nil {
			return nil, err
		}
		b.WriteString(text)
	}
	return b.Bytes(), nil
}

// notice has the terms of a module, or of Go's library.
type notice struct {
	dir   string
	files map[string]bool
}

type linkedPackage struct {
	Dir, ImportPath string
	Standard        bool
	Module          *struct {
		Path, Version, Dir string
		Main               bool
	}
	Root string
}

func collectNotices(linked map[string]*notice, arch string) error {
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,ImportPath,Standard,Module,Root", ".")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("list the packages of the binary: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(out))
	for {
		var pkg linkedPackage
		if err := decoder.Decode(&pkg); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		name, root := "Go", pkg.Root
		switch {
		case pkg.Module != nil && pkg.Module.Main:
			continue
		case pkg.Module != nil:
			name, root = pkg.Module.Path+" "+pkg.Module.Version, pkg.Module.Dir
		}
		if linked[name] == nil {
			linked[name] = &notice{dir: root, files: map[string]bool{}}
		}
		linked[name].look(pkg.Dir)
	}
}

var noticeFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// look finds notices for a package: beside it, and in the directories above, up to that of its module.
func (n *notice) look(dir string) {
	for strings.HasPrefix(dir+"/", n.dir+"/") {
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			if entry.Type().IsRegular() && noticeFile.MatchString(entry.Name()) && filepath.Ext(entry.Name()) != ".go" {
				n.files[filepath.Join(dir, entry.Name())] = true
			}
		}
		dir = filepath.Dir(dir)
	}
}

func (n *notice) text(name string) (string, error) {
	if len(n.files) == 0 {
		return "", fmt.Errorf("%s has no licence in %s", name, n.dir)
	}
	// That of the whole before those of its parts.
	files := slices.SortedFunc(maps.Keys(n.files), func(x, y string) int {
		return cmp.Or(cmp.Compare(strings.Count(x, "/"), strings.Count(y, "/")), strings.Compare(x, y))
	})
	var b strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n%s\n%s: %s\n\n%s\n", strings.Repeat("=", 78), name, strings.TrimPrefix(file, n.dir+"/"), bytes.TrimSpace(text))
	}
	return b.String(), nil
}
