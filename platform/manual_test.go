package platform_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

const manual = "../docs/jcloud.yml.md"

func TestManualTable(t *testing.T) { compareTable(t, manual, platform.ConfigTable()) }

// compareTable compares the table of keys in a manual with what it is made of.
func compareTable(t *testing.T, file, table string) {
	t.Helper()
	const begin, end = "<!-- the table of keys: begin -->\n", "<!-- the table of keys: end -->\n"
	text := string(readFixture(t, file))
	before, rest, hasBegin := strings.Cut(text, begin)
	_, after, hasEnd := strings.Cut(rest, end)
	if !hasBegin || !hasEnd {
		t.Fatalf("%s: no marks around the table", file)
	}
	compareFixture(t, file, before+begin+table+end+after)
}

// yamlBlocks are the files in a manual.
func yamlBlocks(t *testing.T, file string) []string {
	t.Helper()
	var files []string
	for _, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(readFixture(t, file)), -1) {
		files = append(files, block[1])
	}
	return files
}

func TestManualExamples(t *testing.T) {
	files := append(platform.ConfigExamples(), yamlBlocks(t, manual)...)
	for _, file := range files {
		if _, err := platform.ParseConfig("jcloud.yml", []byte(file)); err != nil {
			t.Errorf("%v in\n%s", err, file)
		}
	}
	if got, want := len(files), 20; got < want {
		t.Errorf("got %d examples, want at least %d", got, want)
	}
}

func TestManualTiers(t *testing.T) {
	text := string(readFixture(t, manual))
	for _, tier := range platform.Tiers() {
		gpu := strings.TrimRight(" "+tier.GPU, " ")
		row := fmt.Sprintf("\n| %s | %v | %v |%s | %v |\n", tier.Name, tier.Cores, tier.MemoryGB, gpu, tier.CreditsPerHour)
		if !strings.Contains(text, row) {
			t.Errorf("%s: no row %s", manual, row)
		}
	}
}

func TestManualEnvFile(t *testing.T) {
	_, rest, _ := strings.Cut(string(readFixture(t, manual)), "```sh\n")
	block, _, _ := strings.Cut(rest, "```")
	env, err := platform.ParseEnvFile(".env", []byte(block))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"LOG_LEVEL": "debug", "PRICE": "$1234", "DISCOUNT": "50%", "PATTERN": `^\d+\n$`, "GREETING": "Hello,\n\"world\"",
	} {
		if got := env[name]; got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
