package standby_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/standby"
)

// tree has the files of a control group that is frozen, of a kernel that gives back what it is asked for.
type tree struct {
	platform.Cgroup
	t       *testing.T
	asked   []int64
	allowed string // of swap, when it was asked
}

func newTree(t *testing.T, anon int64) *tree {
	t.Helper()
	tr := &tree{Cgroup: groupOf(t.TempDir()), t: t}
	if err := os.MkdirAll(tr.Sleeper().Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	tr.write("memory.swap.max", "0")
	tr.write("memory.stat", fmt.Sprintf("anon %d\n", anon))
	tr.write("app/cgroup.events", "populated 1\nfrozen 1\n")
	return tr
}

func (tr *tree) file(name string) string { return filepath.Join(tr.Dir(), name) }

func (tr *tree) write(name, text string) {
	tr.t.Helper()
	// A file of the kernel is never empty in between.
	if err := errors.Join(os.WriteFile(tr.file("new"), []byte(text), 0o600), os.Rename(tr.file("new"), tr.file(name))); err != nil {
		tr.t.Fatal(err)
	}
}

func (tr *tree) read(name string) string {
	tr.t.Helper()
	data, err := os.ReadFile(tr.file(name))
	if err != nil {
		tr.t.Fatal(err)
	}
	return string(data)
}

// reclaims has somebody answer each question for memory, until the writer has closed the file, and returns what waits for that.
func (tr *tree) reclaims(answer func(bytes int64)) (wait func()) {
	tr.t.Helper()
	if err := unix.Mkfifo(tr.file("memory.reclaim"), 0o600); err != nil {
		tr.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.Open(tr.file("memory.reclaim"))
		if err != nil {
			tr.t.Error(err)
			return
		}
		defer f.Close()
		buf := make([]byte, 7) // of a chunk
		for {
			n, err := f.Read(buf)
			if errors.Is(err, io.EOF) {
				return
			}
			bytes, err := strconv.ParseInt(string(buf[:n]), 10, 64)
			if err != nil {
				tr.t.Error(err)
				return
			}
			if tr.asked = append(tr.asked, bytes); len(tr.asked) == 1 {
				tr.allowed = tr.read("memory.swap.max")
			}
			answer(bytes)
		}
	}()
	return func() { <-done }
}

// forbidsSwap reports an error unless swap is forbidden. A file that is not the kernel's has more than what was written last.
func (tr *tree) forbidsSwap() {
	tr.t.Helper()
	if got := tr.read("memory.swap.max"); !strings.HasPrefix(got, "0") {
		tr.t.Errorf("swap of %q is allowed", got)
	}
}

// Memory is asked for in chunks, while swap is allowed, and then swap is forbidden again.
func TestSwapOut(t *testing.T) {
	tr := newTree(t, 1<<40)
	left := int64(10) << 20
	wait := tr.reclaims(func(bytes int64) {
		left -= bytes
		tr.write("memory.stat", fmt.Sprintf("anon %d\n", max(0, left)))
	})
	if err := standby.SwapOut(t.Context(), tr.Cgroup); err != nil {
		t.Fatal(err)
	}
	wait()
	if len(tr.asked) < 3 || tr.asked[0] != 4<<20 || tr.allowed != "max" {
		t.Errorf("asked %d times, first for %d bytes, with swap of %q", len(tr.asked), tr.asked[0], tr.allowed)
	}
	tr.forbidsSwap()
}

// An instance that wakes is left alone at once.
func TestSwapOutEndsWithAWake(t *testing.T) {
	tr := newTree(t, 1<<50)
	wait := tr.reclaims(func(int64) {
		if len(tr.asked) == 1 {
			tr.write("app/cgroup.events", "populated 1\nfrozen 0\n")
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := standby.SwapOut(ctx, tr.Cgroup); err != nil {
		t.Error(err)
	}
	wait() // what is in the pipe was asked for before
	tr.forbidsSwap()
}

func TestSwapOutEndsWithItsContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	tr := newTree(t, 1<<50)
	wait := tr.reclaims(func(int64) { cancel(cause) })
	if err := standby.SwapOut(ctx, tr.Cgroup); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	wait()
	tr.forbidsSwap()
}

// A kernel that cannot do it is told from an instance that is gone.
func TestCannotSwap(t *testing.T) {
	tr := newTree(t, 10<<20)
	if err := standby.SwapOut(t.Context(), tr.Cgroup); !errors.Is(err, standby.ErrCannotSwap) {
		t.Errorf("without memory.reclaim: %v", err)
	}
	tr.forbidsSwap()
	tr.write("memory.reclaim", "")
	if err := os.Remove(tr.file("memory.swap.max")); err != nil {
		t.Fatal(err)
	}
	if err := standby.SwapOut(t.Context(), tr.Cgroup); !errors.Is(err, standby.ErrCannotSwap) {
		t.Errorf("swap is not counted: %v", err)
	}
	if err := standby.ForbidSwap(tr.Cgroup); err != nil {
		t.Errorf("nothing to forbid: %v", err)
	}
	if err := os.RemoveAll(tr.Dir()); err != nil {
		t.Fatal(err)
	}
	if err := standby.SwapOut(t.Context(), tr.Cgroup); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

// With a kernel that can, and with swap, the memory of a frozen process goes there, and comes back as it was.
func TestSwapOutForReal(t *testing.T) {
	r := newRig(t)
	for _, parent := range []string{"", "fn.slice", "fn.slice/fn-ping.slice"} { // it fails where the controller is in another hierarchy
		_ = os.WriteFile(filepath.Join(r.root, "sys/fs/cgroup", parent, "cgroup.subtree_control"), []byte("+memory"), 0)
	}
	if _, err := os.Stat(filepath.Join(r.Dir(), "memory.reclaim")); err != nil {
		t.Skip("memory is not counted in this hierarchy, or cannot be reclaimed")
	}
	if swaps, err := os.ReadFile("/proc/swaps"); err != nil || strings.Count(string(swaps), "\n") < 2 {
		t.Skip("there is no swap")
	}
	a := r.hoarder()
	r.settle()
	r.freeze()
	before, err := r.Anonymous()
	if err != nil || before < 20<<20 {
		t.Fatalf("it has %d bytes: %v", before, err)
	}
	if err := standby.ForbidSwap(r.Cgroup); err != nil {
		t.Fatal(err)
	}
	if err := standby.SwapOut(t.Context(), r.Cgroup); err != nil {
		t.Fatal(err)
	}
	after, err := r.Anonymous()
	if err != nil || after > 2<<20 || r.Swapped() < 15<<20 {
		t.Errorf("of %d bytes %d are left, and %d are in swap: %v", before, after, r.Swapped(), err)
	}
	if most, err := os.ReadFile(filepath.Join(r.Dir(), "memory.swap.max")); err != nil || string(most) != "0\n" {
		t.Errorf("swap of %q is allowed: %v", most, err)
	}
	claim, err := standby.Wake(t.Context(), r.Cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer claim.Release()
	if err := a.echoes("awake", patience); err != nil {
		t.Error(err)
	}
}

// hoarder is an app that has 20 MB, and looks at all of them before it echoes a line.
func (r *rig) hoarder() *app {
	r.t.Helper()
	a := r.start(r.command(os.Args[0]), helperEnv+"=hoard")
	if err := a.echoes("begun", patience); err != nil {
		r.t.Fatal(err)
	}
	return a
}

func hoard() error {
	memory := make([]byte, 20<<20)
	for n := range memory {
		memory[n] = byte(n * n >> 8)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		for n := range memory {
			if memory[n] != byte(n*n>>8) {
				return fmt.Errorf("byte %d is another one", n)
			}
		}
		fmt.Println(lines.Text())
	}
	return nil
}
