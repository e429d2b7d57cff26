package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/snapshot"
)

// warnings are what was warned of.
type warnings []string

func (w *warnings) Warn(err error) { *w = append(*w, err.Error()) }

func (w *warnings) Step(_ string, do func() (string, error)) error {
	_, err := do()
	return err
}

func (w *warnings) Detail(string)                                   {}
func (w *warnings) Note(string, ...any)                             {}
func (w *warnings) Copying() func(snapshot.Amount, snapshot.Amount) { return nil }

// A file of variables that everybody may read is warned of, unless its directory keeps them out.
func TestWarnExposed(t *testing.T) {
	for name, c := range map[string]struct {
		dir, file os.FileMode
		want      bool
	}{
		"everybody may read it":          {0o755, 0o644, true},
		"the owner may":                  {0o755, 0o600, false},
		"the group may":                  {0o755, 0o640, false},
		"nobody gets into the directory": {0o750, 0o644, false},
	} {
		base, err := os.MkdirTemp("/tmp", "exposed") // where everybody may go, unlike the directories of tests
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(base)
		file := filepath.Join(base, ".env")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for path, mode := range map[string]os.FileMode{file: c.file, base: c.dir} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		var said warnings
		d := &deployment{Function: &Function{Engine: &Engine{Progress: &said}}, request: Request{Dir: base}}
		d.warnExposed()
		if got := strings.Contains(strings.Join(said, "\n"), file+" can be read by every user"); got != c.want {
			t.Errorf("%s: got %q", name, said)
		}
	}
}
