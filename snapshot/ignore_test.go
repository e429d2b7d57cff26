package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/snapshot"
)

// ignoredTree writes an app of empty files, and what else is given, by name.
func ignoredTree(t testing.TB, names []string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		writeFiles(t, dir, map[string]string{name: ""})
	}
	writeFiles(t, dir, files)
	return dir
}

func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// deployedNames lists the files of a directory that would be in a snapshot.
func deployedNames(t testing.TB, dir string) []string {
	t.Helper()
	names, err := snapshot.DeployedNames(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// gitNames lists the files of a directory that git would not ignore.
func gitNames(t testing.TB, repository, dir, ignoreFile string) []string {
	t.Helper()
	cmd := exec.Command("git", "--git-dir="+repository+"/.git", "--work-tree="+dir, "ls-files", "-z", "--others", "--exclude-per-directory="+ignoreFile)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// gitRepository makes a repository to ask git with, whose files are elsewhere.
func gitRepository(t testing.TB) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git to compare with")
	}
	repository := t.TempDir()
	if out, err := exec.Command("git", "init", "-q", repository).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return repository
}

var manyNames = []string{
	"a", "b", "ab", "abc", "a b", "a ", "#a", "!a", "a]", "a-", "[", "\\", "A", "1", "ä", "a.log", ".env", "x.py",
	"dir/a", "dir/b", "dir/ab", "dir/dir/a", "dir/dir/ab", "dir/sub/dir/a", "dir/a.log", "dir/sub/b.log",
	"build/out", "build/keep/out", "sub/build/out", "sub/dir/build/x/out", "sub/dist", "a1/b1/c1/d1", "a1/c1", "*", "caf\xe9/menu",
}

// Each case is what one ignore file has; git says what is right.
func TestIgnoreAsGit(t *testing.T) {
	repository, dir := gitRepository(t), ignoredTree(t, manyNames, nil)
	for _, rules := range []string{
		"", "a", "/a", "a/", "dir", "dir/", "/dir", "dir/a", "dir/*", "dir/**", "**/dir", "**/dir/a", "dir/**/a", "**", "*", "?", "/*",
		"*\n!a", "*\n!*/\n!*.log", "dir/*\n!dir/sub/", "dir/\n!dir/a", "dir/*\n!dir/a", "build\n!build/keep/out", "!a\na", "a\n!a",
		"# a", "\\#a", "\\!a", "!a", "a\\ ", "a ", "a  \r\nb\r\n", "\ufeffa", "\n\n  \n", "a\\", "\\\\", "[", "\\[", "[a", "[]a]", "a[]]",
		"[a-c]", "[!a-c]", "[^a-c]", "[]-]", "a[-]", "a[]-]", "[[:alpha:]]", "[[:digit:]a]", "[[:nothing:]]", "[[:alpha:", "[[a]", "[\\]]",
		"[a-\\c]", "[z-a]", "[\xc3]?", "??", "*.log", "/*.log", "dir/*.log", "**/*.log", "*/*.log", "*/a", "*/*/a", "***/a", "a**", "**a",
		"/", "//", "//a", "a//", "!", "!/", "/**/a", "/**", "**/", "**/**", "**/**/a", "a1/**/c1", "a1/**/c1/**", "a1/*/c1", "a1/b1/**/c1",
		"sub/**/build/**/out", "/sub/dir/build/", "build/", "*b*", "*a*b*", "\\*", "[*]", "[\\\\]", "a\\b", "ab\n!a*\na", "\t", "a\t",
	} {
		if err := os.WriteFile(dir+"/.gitignore", []byte(rules), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, want := deployedNames(t, dir), gitNames(t, repository, dir, ".gitignore"); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, git has %q", rules, got, want)
		}
	}
}

// Random rules in random directories, of either kind of file.
func TestIgnoreAsGitAtRandom(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	repository, dir := gitRepository(t), ignoredTree(t, manyNames, nil)
	// Without "a**/": that is like "a*/" to git's own matching, and to git from 2.53 on, but like "a" and "**/" before.
	parts := []string{"a", "b", "dir", "sub", "build", "out", "*", "**/", "/", "/**/", "?", "[a-c]", "[!a]", "!", "\n", "\n", "*.log", "1", " ", "\\", "[", "]", "keep", "/**\n", "#"}
	for round := range 50 {
		for _, kind := range []string{".gitignore", ".fnctlignore"} {
			files := map[string]string{}
			for range 1 + random.IntN(3) {
				var text strings.Builder
				for range 1 + random.IntN(12) {
					text.WriteString(parts[random.IntN(len(parts))])
				}
				place := []string{"", "", "dir/", "dir/sub/", "sub/", "a1/b1/"}[random.IntN(6)]
				files[place+kind] = starsAlone(text.String())
			}
			writeFiles(t, dir, files)
			if got, want := deployedNames(t, dir), gitNames(t, repository, dir, kind); !slices.Equal(got, want) {
				t.Fatalf("seed %d, round %d: %q: got %q, git has %q", seed, round, files, got, want)
			}
			for name := range files {
				os.Remove(filepath.Join(dir, name))
			}
		}
	}
}

// starsAlone sets a slash before each two stars.
func starsAlone(rules string) string {
	for _, before := range []string{"/", "\n", "!"} {
		rules = strings.ReplaceAll(rules, before+"**", before+"\x00")
	}
	return strings.ReplaceAll(strings.ReplaceAll(rules, "**", "/**"), "\x00", "**")
}

// What a .fnctlignore says goes before what any .gitignore says.
func TestIgnoreFnctl(t *testing.T) {
	names := []string{"main.py", ".env", "debug.log", "node_modules/x/index.js", "dist/app.js", "pkg/out.js", "test/test_main.py"}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"taken back", map[string]string{".gitignore": "node_modules/\ndist\n.env\n*.log\n", ".fnctlignore": "!node_modules/\n!/dist\n"},
			[]string{"dist/app.js", "main.py", "node_modules/x/index.js", "pkg/out.js", "test/test_main.py"}},
		{"taken back from a deeper file", map[string]string{"pkg/.gitignore": "*\n", ".fnctlignore": "!pkg/**\n"},
			[]string{".env", "debug.log", "dist/app.js", "main.py", "node_modules/x/index.js", "pkg/.gitignore", "pkg/out.js", "test/test_main.py"}},
		{"left out as well", map[string]string{".gitignore": "*.log\n", ".fnctlignore": "test/\n*ignore\nnode_modules\n", "test/.fnctlignore": "!*\n"},
			[]string{".env", "dist/app.js", "main.py", "pkg/out.js"}},
		{"always left out", map[string]string{".fnctlignore": "!.git/\n!.venv/\n", ".git/config": "", ".venv/pyvenv.cfg": "", "env/pyvenv.cfg": ""}, names},
	} {
		got := deployedNames(t, ignoredTree(t, names, c.files))
		got = slices.DeleteFunc(got, func(name string) bool { return name == ".gitignore" || name == ".fnctlignore" })
		slices.Sort(c.want)
		if !slices.Equal(got, slices.Sorted(slices.Values(c.want))) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestIgnoreSaysWhy(t *testing.T) {
	dir := ignoredTree(t, []string{"main.py", "a.log", "sub/x/y"}, map[string]string{".gitignore": "# all logs\n\n*.log\n", "sub/.fnctlignore": "/x/\n"})
	done, err := snapshot.Take(t.Context(), dir, filepath.Join(t.TempDir(), "app"), snapshot.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(done.LeftOut), "[{a.log .gitignore:3: *.log} {sub/x sub/.fnctlignore:1: /x/}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A link to a list of names is not one, as with git, and no size is too large to be refused.
func TestIgnoreFileThatIsNone(t *testing.T) {
	dir := ignoredTree(t, []string{"main.py"}, map[string]string{"rules": "*\n"})
	if err := os.Symlink("rules", filepath.Join(dir, ".gitignore")); err != nil {
		t.Fatal(err)
	}
	if got := deployedNames(t, dir); len(got) != 3 {
		t.Errorf("got %q", got)
	}
	dir = ignoredTree(t, []string{"main.py"}, map[string]string{".gitignore": strings.Repeat("a\n", 1<<20)})
	if _, err := snapshot.Take(t.Context(), dir, filepath.Join(t.TempDir(), "app"), snapshot.Options{}); err == nil || !strings.Contains(err.Error(), ".gitignore is larger than") {
		t.Errorf("got %v", err)
	}
}

// Whatever the rules are, and the names, there is an answer, and soon.
func FuzzIgnore(f *testing.F) {
	f.Add("*a*a*a*a*a*a*b\n!**/[[:alpha:]\\]\n", strings.Repeat("a", 200))
	f.Fuzz(func(_ *testing.T, rules, name string) { snapshot.Ignored(rules, name) })
}
