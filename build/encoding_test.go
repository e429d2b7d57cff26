package build

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func inUTF16(text string, order binary.AppendByteOrder) string {
	var data []byte
	for _, unit := range utf16.Encode([]rune("\uFEFF" + text)) {
		data = order.AppendUint16(data, unit)
	}
	return string(data)
}

// Files of editors of all systems name the packages that pip installs from them.
func TestRequirementsOfAllEncodings(t *testing.T) {
	const text = "# für Größe\r\nFlask==3.0 \\\r\n  --hash=sha256:0\r\n-r more.txt\r\n"
	for name, data := range map[string]string{
		"UTF-8":                    text,
		"UTF-8 with a mark":        "\xEF\xBB\xBF" + text,
		"UTF-16, little endian":    inUTF16(text, binary.LittleEndian),
		"UTF-16, big endian":       inUTF16(text, binary.BigEndian),
		"Latin-1":                  "# -*- coding: latin-1 -*-\n# f\xFCr\nflask\n-r more.txt\n",
		"another one":              "#!\n# vim: set fileencoding=cp1252 :\n# \x80\nflask\n-r more.txt\n",
		"odd ends of lines":        "# x\v-r more.txt\fflask\u2028",
		"lines of old Macs":        "# x\rflask\r-r more.txt\r",
		"a first line that counts": "\xEF\xBB\xBF-r more.txt\nflask\n",
	} {
		dir := t.TempDir()
		for file, content := range map[string]string{"requirements.txt": data, "more.txt": "numpy\n"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r, err := ReadRequirements(dir)
		slices.Sort(r.packages)
		if err != nil || !slices.Equal(r.packages, []string{"flask", "numpy"}) || len(r.files) != 2 {
			t.Errorf("%s: got %q in %d files, %v", name, r.packages, len(r.files), err)
		}
		if r.files[0].text != data {
			t.Errorf("%s: pip would not get what was written", name)
		}
	}
}

func TestRequirementsThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"Latin-1 without a word": {"# f\xFCr\nflask\n", "requirements.txt: its encoding cannot be told: it is not UTF-8"},
		"UTF-16 without a mark":  {"f\x00l\x00a\x00s\x00k\x00", "requirements.txt: its encoding cannot be told: it has a null byte"},
		"UTF-32":                 {"\xFF\xFE\x00\x00f\x00\x00\x00", "requirements.txt: its encoding cannot be told: it is not UTF-16, as its beginning says"},
		"half of UTF-16":         {"\xFF\xFEf", "requirements.txt: its encoding cannot be told: it is not UTF-16, as its beginning says"},
		"a path in a long line":  {"flask\nnumpy \\\n  >1\n./mine\n", `requirements.txt:4: "./mine" is a path`},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte(c.data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadRequirements(dir); err == nil || len(err.Error()) < len(c.want) || err.Error()[:len(c.want)] != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func FuzzDecodeRequirements(f *testing.F) {
	for _, seed := range []string{"flask\n", "\xEF\xBB\xBFflask", inUTF16("flask", binary.LittleEndian), "# coding: latin-1\n\xFC", "a \\\n\\\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := decodeRequirements(data)
		if err != nil {
			return
		}
		if !utf8.ValidString(text) {
			t.Errorf("%q is not text", text)
		}
		last := 0
		for _, line := range splitRequirements(text) {
			if line.number <= last {
				t.Errorf("line %d follows line %d", line.number, last)
			}
			last = line.number
		}
	})
}
