package snapshot_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/fnctl/fnctl/snapshot"
)

func TestDiskUse(t *testing.T) {
	dir := t.TempDir()
	inside, outside := filepath.Join(dir, "inside"), filepath.Join(dir, "outside")
	if err := os.Mkdir(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	use := func() (total, alone int64) {
		t.Helper()
		total, alone, err := snapshot.DiskUse(t.Context(), inside)
		if err != nil {
			t.Fatal(err)
		}
		return total, alone
	}
	empty, _ := use()
	const size = 100_000
	file := filepath.Join(inside, "file")
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	one, alone := use()
	if one < empty+size || alone != one {
		t.Errorf("got %d, alone %d, with a file of %d bytes, and %d without", one, alone, size, empty)
	}
	if err := os.Link(file, filepath.Join(inside, "other")); err != nil {
		t.Fatal(err)
	}
	if two, alone := use(); two != one || alone != one {
		t.Errorf("got %d, alone %d, with a second name inside, and %d without", two, alone, one)
	}
	if err := os.Link(file, outside); err != nil {
		t.Fatal(err)
	}
	if shared, alone := use(); shared != one || alone != empty {
		t.Errorf("got %d, alone %d, with a name outside, want %d and %d", shared, alone, one, empty)
	}
	if total, alone, err := snapshot.DiskUse(t.Context(), filepath.Join(dir, "nothing")); err != nil || total != 0 || alone != 0 {
		t.Errorf("got %d, %d, %v of what is not there", total, alone, err)
	}
	if shared, alone, err := snapshot.DiskUse(t.Context(), inside, outside); err != nil || shared != one || alone != one {
		t.Errorf("got %d, alone %d, %v of both, want %d", shared, alone, err, one)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := snapshot.DiskUse(ctx, inside); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v after the end of the context", err)
	}
}
