package build

import (
	"errors"
	"path/filepath"
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
		"^3.9": true, "^3.12": false, "^2.7": false, "~3.11.4": true, "~3.10": false,
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
		"poetry 2":            {[]string{"pyproject.toml", "[project]\ndependencies = ['fastapi']\n", "poetry.lock", ""}, "(poetry export"},
		"pdm":                 {[]string{"pyproject.toml", "[project]\ndependencies = ['fastapi']\n", "pdm.lock", ""}, "(pdm export"},
		"pip-tools":           {[]string{"requirements.in", "fastapi\n"}, "requirements.in names packages, and there is no requirements.txt: none is installed (uv pip compile requirements.in"},
		"pipenv":              {[]string{"Pipfile", "[[source]]\nurl = \"https://x\"\n\n[packages]\nfastapi = \"*\"\n\n[dev-packages]\n"}, "Pipfile names packages, and there is no requirements.txt: none is installed (pipenv requirements >requirements.txt)"},
		"pipenv, none":        {[]string{"Pipfile", "[packages]\n\n[dev-packages]\npytest = \"*\"\n"}, ""},
		"setuptools":          {[]string{"setup.py", "from setuptools import setup\nsetup(name='x', install_requires=[\n  'fastapi'])\n"}, "setup.py names packages"},
		"setuptools, cfg":     {[]string{"setup.cfg", "[options]\ninstall_requires =\n    fastapi\n"}, "setup.cfg names packages"},
		"setuptools, none":    {[]string{"setup.cfg", "[options]\ninstall_requires =\n\n[flake8]\nmax-line-length = 100\n"}, ""},
		"conda":               {[]string{"environment.yml", "name: x\ndependencies:\n  - python=3.11\n  - fastapi\n"}, "environment.yml names packages"},
		"another name":        {[]string{"requirements/base.txt", "fastapi\n", "requirements/prod.txt", "-r base.txt\n", "requirements/dev.txt", "pytest\n"}, "(echo '-r requirements/prod.txt' >requirements.txt)"},
		"for development":     {[]string{"requirements-dev.txt", "pytest\n", "requirements/tests.txt", "pytest\n"}, ""},
		"version":             {[]string{".python-version", "\xEF\xBB\xBF3.99.1\n3.8\n"}, ".python-version asks for Python 3.99.1, and the machine has "},
		"version of Heroku":   {[]string{"runtime.txt", "python-2.7.18\n"}, "runtime.txt asks for Python 2.7.18, and the machine has "},
		"version of project":  {[]string{"pyproject.toml", "[project]\nrequires-python = \">=3.99\"\n"}, "pyproject.toml asks for Python >=3.99, and the machine has "},
		"version of poetry":   {[]string{"pyproject.toml", "[tool.poetry.dependencies]\npython = \"^3.99\"\n"}, "pyproject.toml asks for Python ^3.99, and the machine has "},
		"version of pipenv":   {[]string{"Pipfile", "[packages]\n[requires]\npython_version = \"2.7\"\n"}, "Pipfile asks for Python 2.7, and the machine has "},
		"version of asdf":     {[]string{".tool-versions", "nodejs 22.1.0\npython 3.99.1\n"}, ".tool-versions asks for Python 3.99.1, and the machine has "},
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

// Who deploys src leaves what belongs to it beside it.
func TestCheckProjectBeside(t *testing.T) {
	dir := appFiles(t, "src/main.py", "async def app(scope, receive, send): ...\n", "requirements.txt", "fastapi\n")
	for deployed, want := range map[string]string{"src": "requirements.txt lies beside src, which is the whole app: it is not read", ".": ""} {
		deployed := filepath.Join(dir, deployed)
		a, err := Find("main:app", deployed, platform.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		if got := errors.Join(CheckProject(deployed, a)...); got == nil && want != "" || got != nil && got.Error() != want {
			t.Errorf("%s: got %v", deployed, got)
		}
	}
}

func TestHowToRequire(t *testing.T) {
	project := []string{"pyproject.toml", "[project]\ndependencies = ['fastapi']\n", "uv.lock", ""}
	if got := HowToRequire(appFiles(t, project...)); !strings.HasPrefix(got, "uv export") {
		t.Errorf("got %q", got)
	}
	for _, dir := range []string{appFiles(t, append(project, "requirements.txt", "")...), appFiles(t), "/nothing"} {
		if got := HowToRequire(dir); got != "" {
			t.Errorf("%s: got %q", dir, got)
		}
	}
}
