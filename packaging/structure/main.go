// Structure prints figures of the structure of the code: of each package its files, its lines, its functions, and how many of
// the references between its files run back up; the widest types; and the imports between packages. It judges nothing.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	order := flag.String("order", "", "print the files of the `PACKAGE` from top to bottom, with the references that run back up")
	flag.Parse()
	if err := run(*order); err != nil {
		fmt.Fprintln(os.Stderr, "structure:", err)
		os.Exit(1)
	}
}

func run(order string) error {
	packages, err := load()
	if err != nil {
		return err
	}
	if order == "" {
		printPackages(packages)
		printTypes(packages)
		printImports(packages)
		return nil
	}
	at := slices.IndexFunc(packages, func(p *sources) bool { return p.short() == order })
	if at < 0 {
		return errors.New("there is no package " + order)
	}
	printOrder(packages[at])
	return nil
}

func printPackages(packages []*sources) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "package\tfiles\tlines\tfunctions: median\t90th\tlongest\tarrows between files\tback up\t")
	for _, p := range packages {
		lengths := p.functionLengths()
		refs := p.references()
		total, back := refs.split(refs.layers())
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t\n", p.short(), len(p.files), p.lines(),
			quantile(lengths, 0.5), quantile(lengths, 0.9), quantile(lengths, 1), total, percent(back, total))
	}
	w.Flush()
}

func printTypes(packages []*sources) {
	var widest []breadth
	for _, p := range packages {
		widest = append(widest, p.types()...)
	}
	slices.SortFunc(widest, func(a, b breadth) int {
		return cmp.Or(b.methods-a.methods, b.fields-a.fields, strings.Compare(a.name, b.name))
	})
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "widest types\tmethods\tin files\tfields\t")
	for _, t := range widest[:min(10, len(widest))] {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t\n", t.name, t.methods, t.files, t.fields)
	}
	w.Flush()
}

func printImports(packages []*sources) {
	fmt.Println()
	for _, p := range packages {
		var imports []string
		for _, i := range p.Imports {
			if short, ours := strings.CutPrefix(i, module+"/"); ours {
				imports = append(imports, short)
			}
		}
		if len(imports) > 0 {
			fmt.Printf("%s → %s\n", p.short(), strings.Join(imports, ", "))
		}
	}
}

func printOrder(p *sources) {
	refs := p.references()
	order := refs.layers()
	for i, file := range order {
		fmt.Printf("%3d %s\n", i+1, path.Base(file))
		for _, above := range order[:i] {
			if refs[[2]string{file, above}] > 0 {
				fmt.Printf("      ↑ %s\n", path.Base(above))
			}
		}
	}
}

func percent(part, all int) string {
	if all == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(all))
}

func quantile(sorted []int, q float64) int {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1))]
}
