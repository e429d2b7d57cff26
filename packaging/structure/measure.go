package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

func (p *sources) lines() int {
	lines := 0
	for _, file := range p.files {
		lines += p.fset.File(file.Pos()).LineCount()
	}
	return lines
}

// functionLengths are the lines of the functions, the shortest first.
func (p *sources) functionLengths() []int {
	var lengths []int
	for _, file := range p.files {
		for _, decl := range file.Decls {
			if fn, is := decl.(*ast.FuncDecl); is {
				lengths = append(lengths, p.fset.Position(fn.End()).Line-p.fset.Position(fn.Pos()).Line+1)
			}
		}
	}
	slices.Sort(lengths)
	return lengths
}

// breadth is how wide a type is.
type breadth struct {
	name                   string
	methods, files, fields int
}

func (p *sources) types() []breadth {
	var all []breadth
	for _, object := range p.info.Defs {
		name, is := object.(*types.TypeName)
		if !is || name.IsAlias() {
			continue
		}
		named, is := name.Type().(*types.Named)
		if !is {
			continue
		}
		t := breadth{name: p.short() + "." + name.Name(), methods: named.NumMethods()}
		files := map[string]bool{}
		for method := range named.Methods() {
			files[p.fileOf(method.Pos())] = true
		}
		t.files = len(files)
		if s, is := named.Underlying().(*types.Struct); is {
			t.fields = s.NumFields()
		}
		all = append(all, t)
	}
	return all
}

// references are pairs of files of a package: 1 if the first names something that the second declares.
type references map[[2]string]int

func (p *sources) references() references {
	refs := references{}
	for _, file := range p.files {
		refs[[2]string{p.fileOf(file.Pos()), p.fileOf(file.Pos())}] = 0
	}
	for ident, object := range p.info.Uses {
		if object.Pkg() == nil || object.Pkg().Path() != p.ImportPath || object.Pos() == token.NoPos {
			continue
		}
		if from, to := p.fileOf(ident.Pos()), p.fileOf(object.Pos()); from != to {
			refs[[2]string{from, to}] = 1
		}
	}
	return refs
}

// split returns how many arrows there are, and how many run back up in an order of files from top to bottom.
func (r references) split(order []string) (total, back int) {
	at := map[string]int{}
	for i, file := range order {
		at[file] = i
	}
	for pair, n := range r {
		total += n
		if at[pair[0]] > at[pair[1]] {
			back += n
		}
	}
	return total, back
}

// layers is the order of the files in which few references run back up: by the heuristic of Eades, Lin and Smyth (A fast and
// effective heuristic for the feedback arc set problem, 1993), and then by moving one file at a time to where it is best, for
// as long as that helps.
func (r references) layers() []string {
	order := r.greedy()
	for range order {
		if !r.improve(order) {
			break
		}
	}
	return order
}

func (r references) greedy() []string {
	left := map[string]bool{}
	for pair := range r {
		left[pair[0]] = true
	}
	var top, bottom []string
	for len(left) > 0 {
		best, most := "", -1<<31
		for _, file := range sortedKeys(left) {
			out, in := 0, 0
			for pair, n := range r {
				switch {
				case pair[0] == pair[1] || !left[pair[0]] || !left[pair[1]]:
				case pair[0] == file:
					out += n
				case pair[1] == file:
					in += n
				}
			}
			if out == 0 { // a sink
				best, most = file, -1<<31
				break
			}
			if in == 0 {
				out = 1 << 30 // a source
			}
			if out-in > most {
				best, most = file, out-in
			}
		}
		delete(left, best)
		if most == -1<<31 {
			bottom = append(bottom, best)
		} else {
			top = append(top, best)
		}
	}
	slices.Reverse(bottom)
	return append(top, bottom...)
}

// improve moves each file to its best place, and reports whether that has helped.
func (r references) improve(order []string) bool {
	_, before := r.split(order)
	for _, file := range slices.Clone(order) {
		at := slices.Index(order, file)
		// gain is what moving the file from where it is to a place saves.
		best, gain, most := at, 0, 0
		for i := at - 1; i >= 0; i-- {
			if gain += r[[2]string{file, order[i]}] - r[[2]string{order[i], file}]; gain > most {
				best, most = i, gain
			}
		}
		gain = 0
		for i := at + 1; i < len(order); i++ {
			if gain += r[[2]string{order[i], file}] - r[[2]string{file, order[i]}]; gain > most {
				best, most = i, gain
			}
		}
		if best != at {
			rest := slices.Delete(slices.Clone(order), at, at+1)
			copy(order, slices.Insert(rest, best, file))
		}
	}
	_, after := r.split(order)
	return after < before
}

func sortedKeys(set map[string]bool) []string {
	var keys []string
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
