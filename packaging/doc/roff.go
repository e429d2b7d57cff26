package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// page is a manual page in the macros of man(7).
type page struct{ strings.Builder }

func newPage(name string, section int, date time.Time, version string) *page {
	p := &page{}
	fmt.Fprintf(p, ".TH %s %d %s \"fnctl %s\" \"fnctl manual\"\n", strings.ToUpper(literal(name)), section, date.Format(time.DateOnly), literal(version))
	// Neither hyphens that nobody wrote nor stretched blanks: names are copied from here.
	p.WriteString(".nh\n.ad l\n")
	return p
}

func (p *page) section(title string) { fmt.Fprintf(p, ".SH %s\n", strings.ToUpper(title)) }

// name is the section that apropos(1) reads.
func (p *page) name(name, what string) {
	p.section("name")
	fmt.Fprintf(p, "%s \\- %s\n", literal(name), literal(what))
}

// text writes paragraphs of Markdown: of that, only code and links have a meaning. Indented lines are an example.
func (p *page) text(markdown string) {
	for n, paragraph := range strings.Split(strings.TrimRight(markdown, "\n"), "\n\n") {
		if n > 0 {
			p.WriteString(".PP\n")
		}
		if strings.HasPrefix(paragraph, "    ") {
			p.example(paragraph)
		} else {
			p.WriteString(prose(paragraph) + "\n")
		}
	}
}

// item is an entry of a list, and its text.
func (p *page) item(tag, markdown string) {
	fmt.Fprintf(p, ".TP\n%s\n", tag)
	for n, paragraph := range strings.Split(markdown, "\n\n") {
		if n > 0 {
			p.WriteString(".IP\n")
		}
		p.WriteString(prose(paragraph) + "\n")
	}
}

func (p *page) example(text string) {
	p.WriteString(".EX\n")
	for line := range strings.Lines(text) {
		p.WriteString(atStart(literal(strings.TrimRight(line, "\n"))) + "\n")
	}
	p.WriteString(".EE\n")
}

var (
	link  = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)
	quote = regexp.MustCompile("`([^`]*)`")
	// A page of the manual that is mentioned.
	mention = regexp.MustCompile(`(?:[a-z][a-z.-]*)\([1-8]\)`)
)

// prose is running text: code and names of pages are bold, links are their text.
func prose(markdown string) string {
	text := quote.ReplaceAllStringFunc(link.ReplaceAllString(markdown, "$1"), func(code string) string {
		return "\x01" + strings.Trim(code, "`") + "\x02"
	})
	text = literal(mention.ReplaceAllStringFunc(text, func(name string) string {
		return "\x01" + strings.Replace(name, "(", "\x02(", 1)
	}))
	text = strings.NewReplacer("\x01", `\fB`, "\x02", `\fR`).Replace(text)
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		lines = append(lines, atStart(strings.TrimSpace(line)))
	}
	return strings.Join(lines, "\n")
}

func bold(text string) string   { return `\fB` + literal(text) + `\fR` }
func italic(text string) string { return `\fI` + literal(text) + `\fR` }

// literal is text that means itself, and can be copied from the page.
func literal(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "…", "...").Replace(text)
}

// atStart keeps a line of text from being a request.
func atStart(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}
