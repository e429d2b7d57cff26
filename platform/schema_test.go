package platform_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/fnctl/fnctl/platform"
)

// beyondSchema are the fixtures that only the parser refuses: what keys say together, what a pattern can't say, and YAML
// that means something valid once it is read.
var beyondSchema = map[string]bool{
	"cors-any-with-credentials":     true,
	"allow-invalid":                 true,
	"auth-empty":                    true,
	"auth-token-false":              true,
	"auth-users-outside":            true,
	"rate-limit-token-without-auth": true,
	"alias-bomb-env":                true,
	"command-nul":                   true,
	"min-above-default-max":         true,
	"min-above-max":                 true,
	"min-available-above-max":       true,
	"flat-min-above-max":            true,
	"disk-too-large":                true,
	"merge-key":                     true,
	"metrics-twice":                 true,
	"overlap-with-several":          true,
	"standby-without-overlap":       true,
	"standby-private":               true,
	"idle-above-timeout":            true,
	"protocol-with-app":             true,
	"response-start-above-timeout":  true,
	"revision-timeout-conflict":     true,
	"size-too-large":                true,
	"workers-with-command":          true,
	"tag-binary":                    true,
	"utf-16":                        true,
	"two-documents":                 true,
	"trailing-document":             true,
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(platform.ConfigSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("jcloud.schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("jcloud.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestConfigSchemaAccepts(t *testing.T) {
	compiled := compileSchema(t)
	for _, folder := range configFixtures(t, "want.json") {
		var document any
		if err := yaml.Unmarshal(readFixture(t, folder+"/jcloud.yml"), &document); err != nil {
			t.Fatal(err)
		}
		if err := compiled.Validate(document); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

func TestConfigSchemaRefuses(t *testing.T) {
	compiled := compileSchema(t)
	for _, folder := range configFixtures(t, "want.err") {
		var document any
		if err := yaml.Unmarshal(readFixture(t, folder+"/jcloud.yml"), &document); err != nil {
			continue
		}
		name := filepath.Base(folder)
		if got, want := compiled.Validate(document) == nil, beyondSchema[name]; got != want {
			t.Errorf("%s: accepted: got %v, want %v", name, got, want)
		}
	}
}

func TestConfigSchemaFile(t *testing.T) {
	compareFixture(t, "../docs/jcloud.schema.json", string(platform.ConfigSchema()))
}
