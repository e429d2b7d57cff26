package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestPrivateResolvers(t *testing.T) {
	paths := platform.Paths{Root: t.TempDir()}
	if got := PrivateResolvers(paths); got != nil {
		t.Errorf("without the file: %q", got)
	}
	file := filepath.Join(paths.Root, "etc/resolv.conf")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	const text = `# nameserver 10.0.0.1
; nameserver 10.0.0.1
domain example.com
nameserver 127.0.0.53
nameserver 8.8.8.8
nameserver 10.0.0.2 # the company's
  nameserver	192.168.1.1
nameserver 10.0.0.2
nameserver fe80::1%eth0
nameserver ::ffff:172.16.0.1
nameserver 10.0.0.0/8
nameserver
search 10.0.0.1
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := PrivateResolvers(paths), []string{"10.0.0.2", "192.168.1.1", "fe80::1", "172.16.0.1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
