package activator

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestHostBudget(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	// 1000 MiB, of which 300 are free: 100 are head-room.
	text := "MemTotal:        1024000 kB\nMemFree:  1 kB\nMemAvailable:     307200 kB\n"
	if err := os.WriteFile(filepath.Join(root, "proc/meminfo"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	h := newHost(platform.Paths{Root: root})
	id := func(n int) platform.InstanceID { return platform.InstanceID{Revision: ping1.Revision, Index: n} }
	if err := h.refresh(0); err != nil {
		t.Fatal(err)
	}
	const each = 90 << 20
	if !h.reserve(id(1), each) || !h.reserve(id(2), each) || h.reserve(id(3), each) {
		t.Error("200 MiB have room for two instances of 90 MiB, and no third")
	}
	if err := h.refresh(0); err != nil {
		t.Fatal(err)
	}
	if h.reserve(id(3), each) {
		t.Error("what was started and is not in use yet was forgotten")
	}
	h.release(id(1))
	if err := h.refresh(0); err != nil {
		t.Fatal(err)
	}
	if !h.reserve(id(3), each) {
		t.Error("a settled reservation still counts")
	}
}

func TestHostWithoutMeminfo(t *testing.T) {
	h := newHost(platform.Paths{Root: t.TempDir()})
	if err := h.refresh(0); err == nil {
		t.Error("no error though there is nothing to read")
	}
	if !h.reserve(ping1, 1<<40) {
		t.Error("what is not known must bound nothing")
	}
}

func TestStartsAtOnce(t *testing.T) {
	h := newHost(platform.Paths{Root: t.TempDir()})
	_ = h.refresh(0)
	h.cores = 1
	for n := range platform.StartsPerCore {
		if h.atStartLimit() {
			t.Fatalf("busy with %d starts", n)
		}
		h.reserve(platform.InstanceID{Revision: ping1.Revision, Index: n + 1}, 0)
	}
	if !h.atStartLimit() {
		t.Error("not busy with as many starts as there may be")
	}
}
