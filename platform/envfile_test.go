package platform_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestParseEnvFile(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       map[string]string
	}{
		{"empty", "", nil},
		{"blank lines and comments", "\n  \n# A=1\n\t# B=2\n", nil},
		{"plain", "A=1\nB=two words\n", map[string]string{"A": "1", "B": "two words"}},
		{"no newline at the end", "A=1", map[string]string{"A": "1"}},
		{"empty value", "A=\nB=  \nC=''\nD=\"\"\n", map[string]string{"A": "", "B": "", "C": "", "D": ""}},
		{"nothing is expanded", "A=$1234\nB=%d %%\nC=${A}\nD=$(id)\nE=\"$A ${B}\"\nF='$A'", map[string]string{"A": "$1234", "B": "%d %%", "C": "${A}", "D": "$(id)", "E": "$A ${B}", "F": "$A"}},
		{"equals signs in the value", "URL=postgres://u:p@h/db?a=b&c==\n", map[string]string{"URL": "postgres://u:p@h/db?a=b&c=="}},
		{"comment after the value", "A=1 # one\nB=x#y\nC='1' # one\nD=#\n", map[string]string{"A": "1", "B": "x#y", "C": "1", "D": ""}},
		{"blanks around", "  A = 1  \n\tB=\t2\t\n", map[string]string{"A": "1", "B": "2"}},
		{"export", "export A=1\nexport\tB=2\nexported=3\nexport=4\n", map[string]string{"A": "1", "B": "2", "exported": "3", "export": "4"}},
		{"single quotes", `A='a\n"b" # \'`, map[string]string{"A": `a\n"b" # \`}},
		{"double quotes", `A="a\nb \"q\" \\ \$x \t '# "`, map[string]string{"A": "a\nb \"q\" \\ $x \\t '# "}},
		{"escaped backslash before n", `A="\\n"`, map[string]string{"A": `\n`}},
		{"quotes inside", `A=it's "so"`, map[string]string{"A": `it's "so"`}},
		{"no escapes without quotes", `A=C:\new`, map[string]string{"A": `C:\new`}},
		{"several lines", "KEY=\"-----BEGIN\nabc=\n# no comment\n-----END\"\nB='1\n\n2'\nC=3", map[string]string{"KEY": "-----BEGIN\nabc=\n# no comment\n-----END", "B": "1\n\n2", "C": "3"}},
		{"windows", "\ufeffA=1\r\n\r\n# x\r\nB=\"2\"\r\nC='3\r\n4'\r\n", map[string]string{"A": "1", "B": "2", "C": "3\n4"}},
		{"unicode", "A=grüße 🌍\n", map[string]string{"A": "grüße 🌍"}},
	} {
		got, err := platform.ParseEnvFile(".env", []byte(test.file))
		if err != nil || !maps.Equal(got, test.want) {
			t.Errorf("%s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

func TestParseEnvFileRefuses(t *testing.T) {
	const name = "an environment variable is named with letters, digits and underscores, and doesn't start with a digit"
	for _, test := range []struct {
		file string
		want []string
	}{
		{"A=1\nhunter2\n", []string{".env:2: a line must be KEY=VALUE, a comment or empty"}},
		{"hunter2", []string{".env:1: a line must be KEY=VALUE, a comment or empty"}},
		{"export A\n", []string{".env:1: a line must be KEY=VALUE, a comment or empty"}},
		{"hunter2-x=hunter2\n=hunter2\nexport hunter2 x=\n", []string{".env:1: " + name, ".env:2: " + name, ".env:3: " + name}},
		{"1A=\"hunter2\n\"\n", []string{".env:1: " + name, ".env:2: a line must be KEY=VALUE, a comment or empty"}},
		{"PORT=hunter2\nLISTEN_FDS=1\n", []string{".env:1: PORT is set by the platform, choose another name", ".env:2: LISTEN_FDS is set by the platform, choose another name"}},
		{"\nA=1\n\nA=hunter2\n", []string{".env:4: A is already set in line 2"}},
		{"A=\"hunter2\nB=2\n", []string{".env:1: the quotation mark before the value has no second one after it"}},
		{"A='hunter2\n", []string{".env:1: the quotation mark before the value has no second one after it"}},
		{`A="hunter2\"`, []string{".env:1: the quotation mark before the value has no second one after it"}},
		{"A='x\ny' hunter2\nB", []string{".env:1: only a comment may follow after a value in quotes", ".env:3: a line must be KEY=VALUE, a comment or empty"}},
		{"A=hunter2\x00\n", []string{".env:1: an environment variable must not contain a NUL character"}},
		{"A=1\nB=hunter2\xff\n", []string{".env:2: the file must be UTF-8 text"}},
		{"A=" + strings.Repeat("x", 128<<10), []string{".env:1: an environment variable has at most 130048 bytes, got 131072"}},
		{strings.Repeat("A=1\n", 1<<20), []string{".env:1: the file is larger than 1 MiB"}},
	} {
		env, err := platform.ParseEnvFile(".env", []byte(test.file))
		if got, want := errorText(err), strings.Join(test.want, "\n"); got != want || env != nil {
			t.Errorf("%.40q: got %v,\n%s\nwant\n%s", test.file, env, got, want)
		}
		if strings.Contains(errorText(err), "hunter2") {
			t.Errorf("%.40q: the error has a secret: %v", test.file, err)
		}
	}
}

func TestCheckEnvName(t *testing.T) {
	for _, name := range []string{"A", "_", "a1", "PATH", "HOME", "OPENAI_API_KEY", "port"} {
		if err := platform.CheckEnvName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "1A", "A-B", "A B", "Ä", "A=", "A\n", "A\x00", "K_REVISION", "K_SERVICE", "HOSTNAME", "PORT",
		"JCLOUD_WORKSPACE", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"} {
		if platform.CheckEnvName(name) == nil {
			t.Errorf("%q is accepted", name)
		}
	}
}
