package deploy

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
)

// warnExposed warns of files with variables in the app's directory that every user of the machine may read: functions see all of
// the machine but what is hidden from them.
func (d *deployment) warnExposed() {
	if d.request.Dir == "" || !othersEnter(d.request.Dir) {
		return
	}
	files, err := filepath.Glob(filepath.Join(d.request.Dir, ".env*"))
	if err != nil {
		return // the pattern is a good one, unless the directory's name makes another of it
	}
	for _, file := range files {
		if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o004 != 0 {
			d.Progress.Warn(platform.WithHint(fmt.Errorf("%s can be read by every user of the machine, and by other functions", file), "chmod o-r %s", file))
		}
	}
}

// othersEnter reports whether every user may enter a directory.
func othersEnter(dir string) bool {
	dir, err := filepath.Abs(dir)
	for err == nil {
		info, failed := os.Stat(dir)
		if failed != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
	return false
}
