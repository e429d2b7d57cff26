package build

import (
	"errors"
	"strings"
	"testing"
)

func TestCheckFormer(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		want  []string
	}{
		"nothing of it":  {[]string{"main.py", "import fastapi\npath = '/appdirs'\n# lcserve\n", "requirements.txt", "fastapi\njina\n"}, nil},
		"its package":    {[]string{"main.py", "", "requirements.txt", "fastapi\nFastAPI_serve==0.1\n"}, []string{"requirements.txt names fastapi-serve"}},
		"its decorators": {[]string{"chat/main.py", "from lcserve import serving\n"}, []string{"chat/main.py imports lcserve"}},
		"its paths":      {[]string{"main.py", "open('/appdir/data.csv')\n"}, []string{"main.py has the path /appdir"}},
	} {
		dir := appFiles(t, c.files...)
		required, err := ReadRequirements(dir)
		if err != nil {
			t.Fatal(err)
		}
		got := checkFormer(dir, required)
		if len(got) != len(c.want) || len(got) > 0 && !strings.Contains(errors.Join(got...).Error(), c.want[0]) {
			t.Errorf("%s: got %v, want %q", name, got, c.want)
		}
	}
}
