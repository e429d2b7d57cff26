package build

import (
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestPythonVersionSatisfies(t *testing.T) {
	has := pythonVersion{3, 11}
	for wanted, want := range map[string]bool{
		"": true, "3.11": true, "3.11.4": true, "3.11.*": true, "3.99": false, "2.7": false, "python-3.10.1\n": false, "python-3.11.9\n# x": true,
		">=3.8": true, ">=3.12": false, ">=3.12.1": false, ">3.10": true, ">3.11": false, ">3.11.2": true, "<4": true, "<3.11": false, "<3.11.9": true, "<=3.11": true, "<=3.10": false,
		"==3.11.*": true, "==3.12.*": false, "~=3.9": true, "~=3.12": false, "~=3.10.2": false, "~=3.11.2": true, "!=3.11": false, "!=3.11.3": true,
		">=3.8, <3.11": false, ">=3.8,<3.13,!=3.9": true, "pypy3.9": true, "system": true, "3.12t": true, "three": true,
	} {
		if got := has.satisfies(wanted); got != want {
			t.Errorf("%q: got %v", wanted, got)
		}
	}
}

func TestCheckProject(t *testing.T) {
	const app = "from fastapi import FastAPI\napp = FastAPI()\n"
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"nothing":             {nil, ""},
		"a project":           {[]string{"pyproject.toml", "[project]\nname = \"x\"\ndependencies = [\n  # the best\n  \"fastapi>=0.1\",\n]\n"}, "pyproject.toml names packages, and there is no requirements.txt: none is installed (uv pip compile"},
		"uv":                  {[]string{"pyproject.toml", "[project]\ndependencies = ['fastapi']\n", "uv.lock", ""}, "(uv export --no-emit-project"},
		"poetry":              {[]string{"pyproject.toml", "[tool.poetry.dependencies] # x\npython = \"^3.1\"\nfastapi = \"*\"\n"}, "(poetry export"},
		"poetry, Python only": {[]string{"pyproject.toml", "[tool.poetry.dependencies]\npython = \"^3.1\"\n\n[tool.x]\ny = 1\n"}, ""},
		"none":                {[]string{"pyproject.toml", "[project]\ndependencies = []\n[project.optional-dependencies]\ntest = [\"pytest\"]\n"}, ""},
		"tools":               {[]string{"pyproject.toml", "[tool.ruff]\nline-length = 120\n"}, ""},
		"both":                {[]string{"pyproject.toml", "[project]\ndependencies = ['fastapi']\n", "requirements.txt", "fastapi\n"}, ""},
		"version":             {[]string{".python-version", "\xEF\xBB\xBF3.99.1\n3.8\n"}, ".python-version asks for Python 3.99.1, and the machine has "},
		"version of Heroku":   {[]string{"runtime.txt", "python-2.7.18\n"}, "runtime.txt asks for Python 2.7.18, and the machine has "},
		"version of project":  {[]string{"pyproject.toml", "[project]\nrequires-python = \">=3.99\"\n"}, "pyproject.toml asks for Python >=3.99, and the machine has "},
		"version of a tool":   {[]string{"pyproject.toml", "[tool.x]\nrequires-python = \">=3.99\"\n"}, ""},
	} {
		dir := appFiles(t, append([]string{"main.py", app}, c.files...)...)
		a, err := Find("main:app", dir, platform.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, problem := range CheckProject(dir, a) {
			got = append(got, problem.Error()+" ("+platform.HintOf(problem)+")")
		}
		if all := strings.Join(got, "; "); len(got) > 1 || c.want == "" && all != "" || !strings.Contains(all, c.want) {
			t.Errorf("%s: got %q, want %q", name, all, c.want)
		}
	}
}
