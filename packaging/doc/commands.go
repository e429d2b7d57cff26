package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	fnctl "github.com/fnctl/fnctl/cli"
)

// pages are the manual pages by their file name.
func (b build) pages() map[string]string {
	app := fnctl.Manual()
	pages := map[string]string{
		"fnctl.1":      b.overview(app),
		"jcloud.yml.5": b.jcloudPage(),
		"fnctl.yml.5":  b.settingsPage(),
	}
	for _, command := range app.VisibleCommands() {
		pages["fnctl-"+command.Name+".1"] = b.commandPage(app, command)
	}
	return pages
}

func (b build) overview(app *cli.App) string {
	p := newPage("fnctl", 1, b.date, b.version)
	p.name("fnctl", app.Usage)
	p.section("synopsis")
	p.WriteString(synopsis("fnctl COMMAND [ARGUMENT …] [OPTION …]") + "\n.br\n" + synopsis("fnctl COMMAND --help") + "\n")
	p.section("description")
	p.text(overviewText)
	p.section("commands")
	for _, command := range app.VisibleCommands() {
		p.item(bold("fnctl-"+command.Name)+"(1)", sentence(command.Usage))
	}
	exitStatus(p)
	files(p)
	p.section("examples")
	p.example(overviewExample)
	seeAlso(p, "jcloud.yml(5)", "fnctl.yml(5)", "systemctl(1)", "journalctl(1)", "systemd.socket(5)")
	return p.String()
}

const overviewText = `fnctl deploys web applications as functions that run only while there are requests. An app and its jcloud.yml(5) become a
revision, which never changes, with systemd units of its own. The first request starts an instance of it through its socket;
more are added and taken away by the load, down to none.

Two services do that: fnctl-gateway.service takes the requests, picks an instance and holds requests while one starts, and
fnctl-activator.service decides how many instances there are. fnctl-gateway.socket has the address that the gateway listens on.

Flags may stand before or after arguments. What a command was asked for goes to standard output, as a table or, with
` + "`--output json`" + `, as JSON; progress, warnings and errors go to standard error. Commands that change something need root.`

const overviewExample = `sudo fnctl deploy main:app --name ping
fnctl status ping
curl http://ping.localhost:8080/
sudo fnctl remove ping`

func (b build) commandPage(app *cli.App, command *cli.Command) string {
	name := "fnctl-" + command.Name
	p := newPage(name, 1, b.date, b.version)
	p.name(name, command.Usage)
	p.section("synopsis")
	p.WriteString(synopsis(command.UsageText) + "\n")
	p.section("description")
	p.text(strings.TrimSpace(sentence(command.Usage) + "\n\n" + command.Description))
	if len(command.Aliases) > 0 {
		p.WriteString(".PP\n")
		p.text("Other name: `fnctl " + strings.Join(command.Aliases, "`, `fnctl ") + "`.")
	}
	for _, sub := range command.VisibleCommands() {
		p.section("fnctl " + command.Name + " " + sub.Name)
		p.text(strings.TrimSpace(sentence(sub.Usage) + "\n\n" + sub.Description))
		options(p, sub.VisibleFlags())
	}
	p.section("options")
	options(p, command.VisibleFlags())
	p.item(bold("--help")+", "+bold("-h"), "Show help.")
	exitStatus(p)
	files(p)
	seeAlso(p, append([]string{"fnctl(1)"}, related(app, command)...)...)
	return p.String()
}

func options(p *page, flags []cli.Flag) {
	for _, flag := range flags {
		if flag != cli.HelpFlag {
			option(p, flag.(cli.DocGenerationFlag), flag.Names())
		}
	}
}

func option(p *page, flag cli.DocGenerationFlag, names []string) {
	placeholder, usage := "", flag.GetUsage()
	// The library takes the name of the value out of backquotes, too.
	if parts := strings.SplitN(usage, "`", 3); len(parts) == 3 {
		placeholder, usage = parts[1], parts[0]+parts[1]+parts[2]
	}
	var tags []string
	for _, name := range names {
		tag := bold(strings.Repeat("-", min(len(name), 2)) + name)
		if placeholder != "" {
			tag += " " + italic(placeholder)
		}
		tags = append(tags, tag)
	}
	if initial := strings.Trim(flag.GetDefaultText(), `"`); flag.TakesValue() && initial != "" && initial != "0" {
		usage += " (default: " + initial + ")"
	}
	p.item(strings.Join(tags, ", "), sentence(usage))
}

var (
	usageWord = regexp.MustCompile(`-{0,2}[A-Za-z][A-Za-z0-9_/:-]*`)
	group     = regexp.MustCompile(`\[[^][]*\]`)
	variable  = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
)

// synopsis sets what is typed as it stands in bold, and what something is put in the place of in italics. What is in
// brackets stays on a line.
func synopsis(usage string) string {
	usage = group.ReplaceAllStringFunc(usage, func(option string) string { return strings.ReplaceAll(option, " ", "\x01") })
	return strings.ReplaceAll(styled(usage), "\x01", `\ `)
}

func styled(usage string) string {
	var b strings.Builder
	at := 0
	for _, found := range usageWord.FindAllStringIndex(usage, -1) {
		b.WriteString(literal(usage[at:found[0]]))
		at = found[1]
		if word := usage[found[0]:found[1]]; variable.MatchString(word) {
			b.WriteString(italic(word))
		} else {
			b.WriteString(bold(word))
		}
	}
	return b.String() + literal(usage[at:])
}

func exitStatus(p *page) {
	p.section("exit status")
	p.item(bold("0"), "Success.")
	p.item(bold("1"), "Failure; standard error says which.")
	p.item(bold("2"), "Wrong usage.")
}

func files(p *page) {
	p.section("files")
	for _, file := range []struct{ path, what string }{
		{"jcloud.yml", "What a function is, beside its app: see jcloud.yml(5)."},
		{"/etc/fnctl/fnctl.yml", "The settings of this machine: see fnctl.yml(5)."},
		{"/var/lib/fnctl/functions", "The functions: routes, revisions, variables."},
		{"/var/lib/fnctl-data", "The persistent data of the functions."},
		{"/etc/systemd/system/fn-*", "The units of the functions, written by fnctl."},
		{"/usr/share/doc/fnctl", "Changelog, copyright, notices of third parties."},
	} {
		p.item(italic(file.path), file.what)
	}
}

func seeAlso(p *page, names ...string) {
	p.section("see also")
	var all []string
	for _, name := range names {
		all = append(all, prose(name))
	}
	p.WriteString(strings.Join(all, ",\n") + "\n")
}

// related are the pages of other commands that the text of this one names, and of the files that it reads.
func related(app *cli.App, command *cli.Command) []string {
	text := command.Usage + " " + command.Description
	for _, flag := range command.VisibleFlags() {
		text += " " + flag.(cli.DocGenerationFlag).GetUsage()
	}
	var pages []string
	for _, other := range app.VisibleCommands() {
		if other != command && regexp.MustCompile(`fnctl `+other.Name+`\b`).MatchString(text) {
			pages = append(pages, "fnctl-"+other.Name+"(1)")
		}
	}
	for _, file := range []string{"jcloud.yml", "fnctl.yml"} {
		if strings.Contains(text, file) {
			pages = append(pages, file+"(5)")
		}
	}
	return pages
}

// sentence begins with a capital and ends with a full stop.
func sentence(text string) string {
	return fmt.Sprintf("%s%s.", strings.ToUpper(text[:1]), strings.TrimSuffix(text[1:], "."))
}
