// Doc writes the documents of the packages into a directory: manual pages, made of what --help prints and of the tables of
// keys; the changelogs of Debian and RPM, made of CHANGELOG.md; and the notices of all that is linked into the binary.
//
//	go run ./packaging/doc VERSION DIR
//
// The time in them is $SOURCE_DATE_EPOCH, so that equal sources make equal files.
package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "doc:", err)
		os.Exit(1)
	}
}

// build is what is built: which version, and from sources of when.
type build struct {
	version string
	date    time.Time
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: doc VERSION DIR")
	}
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("read SOURCE_DATE_EPOCH: %w", err)
	}
	b := build{version: args[0], date: time.Unix(seconds, 0).UTC()}
	files, err := b.documents()
	if err != nil {
		return err
	}
	dir := args[1]
	// A command that is gone leaves no page.
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, data := range files {
		if err := write(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// documents are the files by their name. Those that end with .gz are written compressed.
func (b build) documents() (map[string][]byte, error) {
	source, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return nil, err
	}
	log, err := b.parseChangelog(string(source))
	if err != nil {
		return nil, err
	}
	notices, err := thirdPartyNotices()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"changelog.gz":           []byte(log.debian()),
		"changelog.yml":          []byte(log.chglog()),
		"third-party-notices.gz": notices,
	}
	for name, page := range b.pages() {
		files["man"+name[len(name)-1:]+"/"+name+".gz"] = []byte(page)
	}
	return files, nil
}

func write(path string, data []byte) error {
	if strings.HasSuffix(path, ".gz") {
		data = compress(data)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// compress does what gzip -9n does.
func compress(data []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	_, _ = w.Write(data) // to memory
	_ = w.Close()
	return b.Bytes()
}
