package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/auth"
)

const hash = "$2y$05$abcdefghijklmnopqrstuuSG5fhAAjgH7OLzPHlqj1tYmQhXYBbyG"

func TestParseUsers(t *testing.T) {
	users, err := auth.ParseUsers("users", []byte("# comment\n\nalice:"+hash+"\r\nbob smith:"+strings.Replace(hash, "2y", "2b", 1)))
	if err != nil || len(users) != 2 || users["alice"] != hash {
		t.Errorf("got %v, %v", users, err)
	}
	for text, want := range map[string]string{
		"alice:secret":              `users:1: "alice": the password must be a hash of bcrypt, $2y$…: htpasswd -B FILE NAME writes one of bcrypt`,
		"\nalice:$apr1$x$y":         `users:2: "alice": the hash is one of MD5, which is guessed too fast: htpasswd -B FILE NAME writes one of bcrypt`,
		"alice:{SHA}secret=":        `users:1: "alice": the hash is one of SHA-1, which is guessed too fast: htpasswd -B FILE NAME writes one of bcrypt`,
		"alice":                     `users:1: "alice": a line must be NAME:HASH, as htpasswd -B writes it`,
		"alice:" + hash + "x":       `users:1: "alice": the password must be a hash of bcrypt, $2y$…: htpasswd -B FILE NAME writes one of bcrypt`,
		"alice:$2y$17" + hash[6:]:   `users:1: "alice": the hash has the cost 17, and 4 to 12 are allowed: htpasswd -B -C 10`,
		"alice:$2y$03" + hash[6:]:   `users:1: "alice": the hash has the cost 03, and 4 to 12 are allowed: htpasswd -B -C 10`,
		"a:" + hash + "\na:" + hash: `users:2: "a": is already in line 1`,
		":" + hash:                  `users:1: "": a name must have 1 to 100 printable characters of ASCII and no colon`,
		"a\x1bb:" + hash:            `users:1: "a\x1bb": a name must have 1 to 100 printable characters of ASCII and no colon`,
		"ä:" + hash:                 `users:1: "ä": a name must have 1 to 100 printable characters of ASCII and no colon`,
		"# nobody\n":                `users: has no user: htpasswd -B users NAME`,
	} {
		users, err := auth.ParseUsers("users", []byte(text))
		if users != nil || err == nil || err.Error() != want {
			t.Errorf("%q: got %v, %v, want %s", text, users, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error has the password", text)
		}
	}
}

func TestProjectUsers(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"users": "alice:" + hash + "\n", "conf/users": "alice:" + hash + "\n", "bad": "alice:secret"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "users")
	if err := errors.Join(os.WriteFile(outside, []byte("alice:"+hash), 0o644), os.Symlink("users", filepath.Join(dir, "link")),
		os.Symlink("conf", filepath.Join(dir, "dir")), os.Symlink(outside, filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"users": "", "conf/users": "", "bad": "bad:1: ", "link": "is reached through a link", "dir/users": "is reached through a link", "out": "a link that leads out of",
		"missing": "there is no ", "conf": "is a directory",
	} {
		data, err := auth.ProjectUsers(dir, name)
		if want == "" && (err != nil || string(data) != "alice:"+hash+"\n") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %q, %v", name, data, err)
		}
	}
	linked := filepath.Join(t.TempDir(), "app")
	if err := os.Symlink(dir, linked); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.ProjectUsers(linked, "users"); err != nil {
		t.Errorf("in a directory that is a link: %v", err)
	}
}

func TestTokens(t *testing.T) {
	paths, now := platform.Paths{Root: t.TempDir()}, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.MkdirAll(paths.Function("ping"), 0o755); err != nil {
		t.Fatal(err)
	}
	if tokens, err := auth.ReadTokens(paths, "ping"); err != nil || tokens != nil {
		t.Errorf("without a file: %v, %v", tokens, err)
	}
	text, token, err := auth.NewToken("ci", now, now.Add(time.Hour))
	if err != nil || !strings.HasPrefix(text, auth.TokenPrefix) || len(text) != len(auth.TokenPrefix)+43 || strings.Contains(token.Hash, text) {
		t.Fatalf("%q, %+v, %v", text, token, err)
	}
	another, _, _ := auth.NewToken("ci", now, time.Time{})
	if another == text {
		t.Error("two tokens are the same")
	}
	if _, _, err := auth.NewToken("a:b", now, now); err == nil {
		t.Error("a label that is no name")
	}
	if err := auth.WriteTokens(paths, "ping", []auth.Token{token}); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(paths.Tokens("ping"))
	info, _ := os.Stat(paths.Tokens("ping"))
	if info.Mode().Perm() != 0o640 || strings.Contains(string(data), text) {
		t.Errorf("%s: %s", info.Mode(), data)
	}
	if tokens, err := auth.ReadTokens(paths, "ping"); err != nil || len(tokens) != 1 || tokens[0] != token {
		t.Errorf("got %v, %v", tokens, err)
	}
	if token.Expired(now) || token.Expired(now.Add(time.Hour-1)) || !token.Expired(now.Add(time.Hour)) {
		t.Error("it expires at another time")
	}
	for text, want := range map[string]string{
		`{"format": 2}`: "it has format 2, and this one knows 1", "{": "read ", `{"format": 1, "tokens": [{"label": "x", "sha256": "abcd"}]}`: `token "x"`,
		`{"format": 1, "tokens": [{"label": "x", "sha256": "` + token.Hash + `00"}]}`: "too long",
	} {
		os.WriteFile(paths.Tokens("ping"), []byte(text), 0o640)
		if tokens, err := auth.ReadTokens(paths, "ping"); err == nil || !strings.Contains(err.Error(), want) || tokens != nil {
			t.Errorf("%s: got %v, %v", text, tokens, err)
		}
	}
}

func FuzzParseUsers(f *testing.F) {
	f.Add("alice:" + hash + "\n#\n:")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := auth.ParseUsers("users", []byte(text))
		for name, hash := range users {
			if err != nil || name == "" || strings.ContainsAny(name, ":\r\n") || !strings.HasPrefix(hash, "$2") || len(hash) != 60 {
				t.Errorf("%q: %q %q", text, name, hash)
			}
		}
	})
}
