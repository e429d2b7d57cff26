package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	fnctl "github.com/fnctl/fnctl/cli"
	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

var tested = build{version: "1.2.0~rc1", date: time.Date(2026, 2, 1, 12, 0, 0, 0, time.UTC)}

// Every command has a page with all of its flags, and every key is in its page.
func TestPagesAreComplete(t *testing.T) {
	pages := tested.pages()
	for _, command := range fnctl.Manual().VisibleCommands() {
		page := pages["fnctl-"+command.Name+".1"]
		for _, flag := range command.VisibleFlags() {
			if tag := bold("--" + flag.Names()[0]); !strings.Contains(page, tag) {
				t.Errorf("fnctl-%s.1 has no %s", command.Name, tag)
			}
		}
		if !strings.Contains(pages["fnctl.1"], bold("fnctl-"+command.Name)+"(1)") {
			t.Errorf("fnctl.1 has no %s", command.Name)
		}
	}
	for name, manual := range map[string][]keys.Manual{
		"jcloud.yml.5": platform.ConfigManual(), "fnctl.yml.5": platform.SettingsManual(),
	} {
		for _, key := range manual {
			if tag := ".TP\n" + bold(key.Path) + "\n"; !strings.Contains(pages[name], tag) {
				t.Errorf("%s has no %s", name, key.Path)
			}
		}
	}
}

// The two programs that show manual pages have nothing to say against ours.
func TestPagesAreClean(t *testing.T) {
	for name, page := range tested.pages() {
		for _, checker := range [][]string{
			{"mandoc", "-Tlint", "-Wwarning"},
			{"man", "--warnings", "--encoding=UTF-8", "--troff-device=utf8", "--ditroff", "--local-file", "-"},
		} {
			cmd := exec.Command(checker[0], checker[1:]...)
			cmd.Stdin = strings.NewReader(page)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
			var said bytes.Buffer
			cmd.Stderr = &said
			if checker[0] == "mandoc" {
				cmd.Stdout = &said
			}
			err := cmd.Run()
			if errors.Is(err, exec.ErrNotFound) {
				t.Skipf("no %s: apt-get install mandoc man-db", checker[0])
			}
			if err != nil || said.Len() > 0 {
				t.Errorf("%s: %v: %v\n%s", name, checker, err, said.String())
			}
		}
	}
}

func TestCommandPage(t *testing.T) {
	app := &cli.App{Commands: []*cli.Command{
		{
			Name: "send", Aliases: []string{"tx"}, Usage: "send it", UsageText: "fnctl send NAME [--to HOST] | stop KEY=VALUE…",
			Description: "Reads jcloud.yml.\n.It's a\\b. See fnctl fetch.\n\n    $ a 'b'\n    .c\n\n`Code` and [text](link.md).",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "to", Aliases: []string{"t"}, Value: "x", Usage: "where: `HOST` or -"},
				&cli.BoolFlag{Name: "quiet", Usage: "say less"},
			},
		},
		{Name: "fetch", Usage: "fetch it"},
	}}
	got := tested.commandPage(app, app.Commands[0])
	for _, want := range []string{
		".TH FNCTL\\-SEND 1 2026-02-01 \"fnctl 1.2.0\\(tirc1\"",
		".SH NAME\nfnctl\\-send \\- send it\n",
		".SH SYNOPSIS\n\\fBfnctl\\fR \\fBsend\\fR \\fINAME\\fR [\\fB\\-\\-to\\fR\\ \\fIHOST\\fR] | \\fBstop\\fR \\fIKEY\\fR=\\fIVALUE\\fR...\n",
		".SH DESCRIPTION\nSend it.\n.PP\nReads jcloud.yml.\n\\&.It\\(aqs a\\eb. See fnctl fetch.\n",
		".EX\n    $ a \\(aqb\\(aq\n    .c\n.EE\n.PP\n\\fBCode\\fR and text.\n",
		"\nOther name: \\fBfnctl tx\\fR.\n",
		".TP\n\\fB\\-\\-to\\fR \\fIHOST\\fR, \\fB\\-t\\fR \\fIHOST\\fR\nWhere: HOST or \\- (default: x).\n",
		".TP\n\\fB\\-\\-quiet\\fR\nSay less.\n",
		".SH SEE ALSO\n\\fBfnctl\\fR(1),\n\\fBfnctl\\-fetch\\fR(1),\n\\fBjcloud.yml\\fR(5)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("there is no\n%s\nin\n%s", want, got)
		}
	}
}

func TestChangelog(t *testing.T) {
	source := "# Changelog\n\n## Unreleased\n\n* [FEATURE] `a` is\n  new.\n* [BUGFIX] " + strings.Repeat("long ", 15) +
		"\n\n## 1.1.0 (2026-01-05)\n\n* [CHANGE] b\n"
	log, err := tested.parseChangelog(source)
	if err != nil {
		t.Fatal(err)
	}
	const debian = `fnctl (1.2.0~rc1) unstable; urgency=medium

  * [FEATURE] a is new.
  * [BUGFIX] long long long long long long long long long long long long
    long long long

 -- fnctl authors <fnctl@fnctl.invalid>  Sun, 01 Feb 2026 12:00:00 +0000

fnctl (1.1.0) unstable; urgency=medium

  * [CHANGE] b

 -- fnctl authors <fnctl@fnctl.invalid>  Mon, 05 Jan 2026 00:00:00 +0000
`
	if got := log.debian(); got != debian {
		t.Errorf("got\n%s\nwant\n%s", got, debian)
	}
	if got, want := log.chglog(), "semver: 1.1.0-1\n  date: 2026-01-05T00:00:00Z\n"; !strings.Contains(got, want) {
		t.Errorf("there is no %q in\n%s", want, got)
	}
	// At a tag, what is built has a section of its own.
	if log, err = tested.parseChangelog("## Unreleased\n\n## 1.1.0 (2026-01-05)\n* b\n"); err != nil || len(log) != 1 || log[0].version != "1.1.0" {
		t.Errorf("nothing unreleased: got %v, %v", log, err)
	}
	for _, wrong := range []string{"", "## Unreleased\n", "## soon\n* a\n", "## 1.1.0 (2026-13-05)\n* a\n"} {
		if log, err := tested.parseChangelog(wrong); err == nil {
			t.Errorf("%q: got %v, want an error", wrong, log)
		}
	}
}

func TestNotices(t *testing.T) {
	t.Chdir("../..")
	notices, err := thirdPartyNotices()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nGo: LICENSE\n\nCopyright 2009 The Go Authors.", "gopkg.in/yaml.v3 v3", "github.com/godbus/dbus/v5",
		"github.com/prometheus/client_golang v1", ": NOTICE\n", "Redistributions in binary form must reproduce",
	} {
		if !bytes.Contains(notices, []byte(want)) {
			t.Errorf("the notices lack %q", want)
		}
	}
	if bytes.Contains(notices, []byte("google.golang.org/grpc")) {
		t.Error("the notices have modules that only tests use")
	}
	if _, err := (&notice{dir: t.TempDir()}).text("nothing"); err == nil {
		t.Error("a module without a licence is no error")
	}
}

// Everything is there, twice the same, and without what tells who made it when.
func TestDocuments(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if err := run([]string{"1.2.0", dir}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"man1/fnctl.1.gz", "man1/fnctl-deploy.1.gz", "man5/jcloud.yml.5.gz", "changelog.gz", "changelog.yml", "third-party-notices.gz"} {
		data, err := os.ReadFile(filepath.Join(first, name))
		again, _ := os.ReadFile(filepath.Join(second, name))
		if err != nil || !bytes.Equal(data, again) {
			t.Errorf("%s: %v, or it was different the second time", name, err)
		}
		if !strings.HasSuffix(name, ".gz") {
			continue
		}
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || len(text) == 0 || r.Name != "" || !r.ModTime.IsZero() {
			t.Errorf("%s: %d bytes, %v, name %q, time %v", name, len(text), err, r.Name, r.ModTime)
		}
	}
}
