package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// changelog is CHANGELOG.md, the newest release first.
type changelog []release

type release struct {
	version string
	date    time.Time
	changes []string
}

// maintainer is who made the packages, as nfpm.yaml has it.
const maintainer = "fnctl authors <fnctl@fnctl.invalid>"

var released = regexp.MustCompile(`^(\S+) \((\d{4}-\d\d-\d\d)\)$`)

// parseChangelog reads sections "## Unreleased", which is what is built, and "## 0.2.0 (2026-12-01)".
func (b build) parseChangelog(markdown string) (changelog, error) {
	var log changelog
	for n, section := range strings.Split("\n"+markdown, "\n## ") {
		title, body, _ := strings.Cut(section, "\n")
		match := released.FindStringSubmatch(title)
		switch {
		case n == 0: // the title of the document
		case title == "Unreleased":
			log = append(log, release{b.version, b.date, changes(body)})
		case match == nil:
			return nil, fmt.Errorf("read CHANGELOG.md: %q is neither Unreleased nor a version with its date", title)
		default:
			date, err := time.Parse(time.DateOnly, match[2])
			if err != nil {
				return nil, fmt.Errorf("read CHANGELOG.md: %w", err)
			}
			log = append(log, release{match[1], date, changes(body)})
		}
	}
	if len(log) > 0 && len(log[0].changes) == 0 { // nothing is unreleased
		log = log[1:]
	}
	if len(log) == 0 {
		return nil, errors.New("read CHANGELOG.md: there are no changes")
	}
	return log, nil
}

// changes are the items of a list, each a line.
func changes(markdown string) []string {
	var all []string
	for item := range strings.SplitSeq("\n"+markdown, "\n* ") {
		if text := strings.Join(strings.Fields(strings.ReplaceAll(item, "`", "")), " "); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// debian is the changelog in the form of deb-changelog(5).
func (log changelog) debian() string {
	var b strings.Builder
	for _, r := range log {
		fmt.Fprintf(&b, "fnctl (%s) unstable; urgency=medium\n\n", r.version)
		for _, change := range r.changes {
			b.WriteString("  * " + wrap(change, 76, "    ") + "\n")
		}
		fmt.Fprintf(&b, "\n -- %s  %s\n\n", maintainer, r.date.Format(time.RFC1123Z))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// chglog is the changelog in the form that nfpm reads, for RPM.
func (log changelog) chglog() string {
	type change struct {
		Note string `yaml:"note"`
	}
	type entry struct {
		Semver   string    `yaml:"semver"`
		Date     time.Time `yaml:"date"`
		Packager string    `yaml:"packager"`
		Changes  []change  `yaml:"changes"`
	}
	var entries []entry
	for _, r := range log {
		e := entry{Semver: r.version + "-1", Date: r.date, Packager: maintainer} // as nfpm numbers the package
		for _, text := range r.changes {
			e.Changes = append(e.Changes, change{wrap(text, 76, "  ")})
		}
		entries = append(entries, e)
	}
	text, err := yaml.Marshal(entries)
	if err != nil {
		panic(err) // texts and times
	}
	return string(text)
}

// wrap breaks a text into lines; all but the first are indented.
func wrap(text string, width int, indent string) string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width-len(indent) {
			lines, line = append(lines, line), word
		} else {
			line = strings.TrimSpace(line + " " + word)
		}
	}
	return strings.Join(append(lines, line), "\n"+indent)
}
