package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units"
)

// checkUser refuses a function whose user, which systemd makes while an instance runs, is one of the machine already: systemd would take
// that one, with all that it may do (systemd.exec(5), DynamicUser=). Users of a directory service are not looked for.
func checkUser(paths platform.Paths, function string) error {
	user := units.User(function)
	for _, file := range []string{"etc/passwd", "etc/group"} {
		path := filepath.Join(paths.Root, file)
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for line := range bytes.Lines(data) {
			if bytes.HasPrefix(line, []byte(user+":")) {
				return platform.WithHint(fmt.Errorf("the function would run as %s, who is in %s already", user, path), "choose another name with --name")
			}
		}
	}
	return nil
}
