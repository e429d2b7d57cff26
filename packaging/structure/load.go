package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const module = "github.com/fnctl/fnctl"

// sources are the files of a package, without its tests, and what the type checker knows of them.
type sources struct {
	ImportPath string
	Dir        string
	Export     string // the file with its compiled declarations
	GoFiles    []string
	Imports    []string
	Module     *struct{ Main bool }

	fset  *token.FileSet
	files []*ast.File
	info  types.Info
}

// load reads the packages of the program: what main reaches.
func load() ([]*sources, error) {
	list := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles,Imports,Module", ".")
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	exports := map[string]string{}
	var ours []*sources
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := &sources{}
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Main {
			ours = append(ours, p)
		}
	}
	slices.SortFunc(ours, func(a, b *sources) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	for _, p := range ours {
		if err := p.check(exports); err != nil {
			return nil, err
		}
	}
	return ours, nil
}

func (p *sources) check(exports map[string]string) error {
	p.fset = token.NewFileSet()
	for _, name := range p.GoFiles {
		file, err := parser.ParseFile(p.fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		p.files = append(p.files, file)
	}
	config := types.Config{Importer: importer.ForCompiler(p.fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	p.info = types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	if _, err := config.Check(p.ImportPath, p.fset, p.files, &p.info); err != nil {
		return fmt.Errorf("check %s: %w", p.short(), err)
	}
	return nil
}

// short is the path of the package in the module.
func (p *sources) short() string {
	if p.ImportPath == module {
		return "."
	}
	return strings.TrimPrefix(p.ImportPath, module+"/")
}

func (p *sources) fileOf(pos token.Pos) string { return p.fset.Position(pos).Filename }
