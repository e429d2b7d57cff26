package cli_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/certificates/authority"
	"github.com/fnctl/fnctl/cli"
	"github.com/fnctl/fnctl/platform"
)

func TestTrust(t *testing.T) {
	machine := platform.Paths{Root: t.TempDir()}
	file := certificates.RootFile(machine)
	if _, err := authority.Open(filepath.Join(machine.Root, "authority.pem"), file, "box", time.Now()); err != nil {
		t.Fatal(err)
	}
	cli.UseRoot(machine.Root)
	t.Cleanup(func() { cli.UseRoot("/") })
	var stdout, stderr bytes.Buffer
	if status := cli.Main([]string{"fnctl", "trust"}, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	for _, want := range []string{file, "fnctl on box, ", "update-ca-certificates", "update-ca-trust", "add-trusted-cert", "certutil -addstore", "--cacert"} {
		if !strings.Contains(stdout.String(), want) {
			t.Errorf("%q is missing in\n%s", want, stdout.String())
		}
	}
	stdout.Reset()
	if status := cli.Main([]string{"fnctl", "trust", "-o", "json"}, &stdout, &stderr); status != 0 {
		t.Fatal(stderr.String())
	}
	var got struct {
		File, Name, SHA256 string
		Commands           []struct {
			Where    string
			Commands []string
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil || got.File != file || len(got.SHA256) != 64 || len(got.Commands) < 6 {
		t.Errorf("got %+v, %v", got, err)
	}
}
