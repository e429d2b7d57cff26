package units_test

import (
	"bytes"
	"errors"
	"maps"
	"os/exec"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/units"
)

const pem = "-----BEGIN KEY-----\r\nMIIB+/=\r\n-----END KEY-----\r\n"

func TestSecretScript(t *testing.T) {
	got, err := units.SecretScript(map[string]string{"KEY": pem, "QUOTES": `a'b"c\`, "EMPTY": "", "A": "$HOME `id` %n ü\x1b"})
	if err != nil {
		t.Fatal(err)
	}
	want := "export A='$HOME `id` %n ü\x1b'\nexport EMPTY=''\nexport KEY='" + pem + "'\nexport QUOTES='a'\\''b\"c\\'\n"
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestSecretScriptRefusesWithoutTheValue(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"TOKEN", "hush\x00", "NUL"},
		{"TOKEN", "hush\xff", "UTF-8"},
		{"TOKEN", "hush" + strings.Repeat("x", 128<<10-4-len("TOKEN=")), "128 KiB"},
		{"UID", "hush", "the shell has a variable of this name"},
	} {
		_, err := units.SecretScript(map[string]string{c.name: c.value})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want %q", c.name, err, c.want)
			continue
		}
		if text := err.Error(); !strings.Contains(text, c.name) || strings.Contains(text, "hush") {
			t.Errorf("the error must name the secret and keep its value: %s", text)
		}
	}
	if _, err := units.SecretScript(map[string]string{"TOKEN": "a\x00"}); !errors.Is(err, units.ErrText) {
		t.Errorf("got error %v, want ErrText", err)
	}
}

func TestParseSecretScriptRefusesDamage(t *testing.T) {
	for _, damaged := range []string{"export TOKEN=hush\n", "export TOKEN='hush", "export A='a'\nTOKEN='hush'\n", "export TOKEN='hush''\n"} {
		if _, err := units.ParseSecretScript([]byte(damaged)); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got error %v", damaged, err)
		}
	}
}

// A shell knows no other limit than the kernel.
func TestSecretAsLargeAsAVariable(t *testing.T) {
	mustArrive(t, strings.Repeat("x", 128<<10-len("SECRET=\x00")))
}

// FuzzSecretScript: what is written reaches a program through a real shell, and is read back.
func FuzzSecretScript(f *testing.F) {
	for _, seed := range []string{
		"", "x", pem, "'", "''", `'\''`, `\`, `"`, "$(id)", "`id`", "$HOME", "\n\n", "\t\r", "\x01\x1b\x7f", "ü\u0081\u0082", "'\nexport X='",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if units.CheckSecret("SECRET", value) == nil {
			mustArrive(t, value)
		}
	})
}

// mustArrive has a shell hand a secret to a program.
func mustArrive(t *testing.T, value string) {
	t.Helper()
	secrets := map[string]string{"SECRET": value, "LAST": "x'"}
	script, err := units.SecretScript(secrets)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := units.ParseSecretScript(script); err != nil || !maps.Equal(got, secrets) {
		t.Fatalf("got %q, %v, want %q", got, err, secrets)
	}
	cmd := exec.Command("/bin/sh", "-c", `. /dev/stdin && exec "$@"`, "sh", "/usr/bin/env", "-0")
	cmd.Stdin = bytes.NewReader(script)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if env := "\x00" + string(out); !strings.Contains(env, "\x00SECRET="+value+"\x00") || !strings.Contains(env, "\x00LAST=x'\x00") {
		t.Errorf("%q did not arrive: %q", value, out)
	}
}
