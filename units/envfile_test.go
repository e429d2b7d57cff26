package units_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/units"
)

func TestEnvFile(t *testing.T) {
	got, err := units.EnvFile(map[string]string{
		"PRICE": "$1234", "PERCENT": "100%", "QUOTES": "a\"b'c`d", "BACK": `\n`, "LINES": "a\nb\t", "EMPTY": "", "A": "ü",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "A=\"ü\"\nBACK=\"\\\\n\"\nEMPTY=\"\"\nLINES=\"a\nb\t\"\nPERCENT=\"100%\"\nPRICE=\"\\$1234\"\nQUOTES=\"a\\\"b'c\\`d\"\n"
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestEnvFileRefusesWithoutTheValue(t *testing.T) {
	for _, value := range []string{"hush\x00", "hush\xff", "hush\x1b", "hush\r", "hush\x7f"} {
		_, err := units.EnvFile(map[string]string{"TOKEN": value})
		if !errors.Is(err, units.ErrText) {
			t.Errorf("%q: got error %v, want ErrText", value, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, "TOKEN") || strings.Contains(text, "hush") {
			t.Errorf("the error must name the variable and keep its value: %s", text)
		}
	}
}

func TestParseEnvFileReadsWhatIsWritten(t *testing.T) {
	want := map[string]string{
		"PRICE": "$1234", "QUOTES": "a\"b'c`d", "BACK": `\n\\"`, "LINES": "a\nB=\"c\"\n\t", "EMPTY": "", "A": "ü", "END": `\`,
	}
	text, err := units.EnvFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := units.ParseEnvFile(text); err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, damaged := range []string{"TOKEN=hush\n", "TOKEN=\"hush", "A=\"a\"\nTOKEN=\"hush\" \n"} {
		if _, err := units.ParseEnvFile([]byte(damaged)); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got error %v", damaged, err)
		}
	}
}
