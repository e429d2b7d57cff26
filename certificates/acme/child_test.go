package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/certificates"
	"github.com/fnctl/fnctl/platform"
)

// childConfig is what the manager is told that a test kills.
type childConfig struct {
	Root     string
	Settings platform.Settings
}

// runChild is that manager.
func runChild(text string) int {
	var config childConfig
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	m, err := New(Config{Paths: platform.Paths{Root: config.Root}, Settings: config.Settings, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	if err := m.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child is a manager that runs as a process.
type child struct {
	*exec.Cmd
	ended chan struct{} // closed
	kill  func()        // kills it and waits for its end
}

func (w *world) child() *child {
	w.Helper()
	text, err := json.Marshal(childConfig{w.paths.Root, w.settings})
	if err != nil {
		w.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		w.Fatal(err)
	}
	c := &child{Cmd: exec.Command(self), ended: make(chan struct{})}
	c.Env = append(os.Environ(), "FNCTL_TEST_MANAGER="+string(text))
	c.Stderr = w.log
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	go func() {
		_ = c.Wait() // it is killed
		close(c.ended)
	}()
	c.kill = sync.OnceFunc(func() {
		_ = c.Process.Kill() // it may have ended
		<-c.ended
	})
	w.Cleanup(c.kill)
	return c
}

// anew gives the machine another, empty disk.
func (w *world) anew() {
	w.paths = platform.Paths{Root: w.TempDir()}
	makeDirs(w.T, w.paths)
	challenges := certificates.ChallengesOf(w.paths)
	w.gateway.challenges.Store(&challenges)
}

// recovered checks what was left of a manager that was killed: nothing is half there, and the next one, which is told not to wait, gets the
// certificate, and cleans up.
func (w *world) recovered(host, where string) {
	w.Helper()
	if _, err := certificates.StoreOf(w.paths).Read(host); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Errorf("%s: %v", where, err)
	}
	w.run()
	w.manager.Retry()
	w.certified(host, nil)
	w.eventually("nothing is left "+where, func() bool {
		orders, err := os.ReadDir(filepath.Join(w.paths.Root, "var/lib/fnctl-acme/orders"))
		return (err == nil || errors.Is(err, fs.ErrNotExist)) && len(orders) == 0 && len(w.shown()) == 0
	})
	w.end()
	err := filepath.WalkDir(filepath.Join(w.paths.Root, "var"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(entry.Name(), ".") {
			w.Errorf("%s: %s is left", where, path)
		}
		return err
	})
	if err != nil {
		w.Error(err)
	}
}

// Killed at each request to the authority, before it is answered or right after, the service gets its certificate in the end: by the same
// account, and without a second order from when on the first one makes a certificate.
func TestKilledAtEveryRequest(t *testing.T) {
	w := newWorld(t)
	for _, after := range []bool{false, true} {
		for n := int64(1); ; n++ {
			w.anew()
			host := fmt.Sprintf("killed%d-%v.example.com", n, after)
			w.route("shop", host)
			w.pebble.orders.Store(0)
			w.pebble.accounts.Store(0)
			killed, where := w.killedAt(n, after, host)
			w.recovered(host, where)
			made := strings.HasPrefix(where, "/certZ/") || after && strings.HasPrefix(where, "/finalize-order/")
			if got := w.pebble.orders.Load(); got > 2 || made && got != 1 {
				t.Errorf("killed at %s: got %d orders", where, got)
			}
			if got := w.pebble.accounts.Load(); got > 2 {
				t.Errorf("killed at %s: asked for %d accounts", where, got)
			}
			if !killed {
				if n < 8 {
					t.Errorf("there were %d requests only", n)
				}
				break
			}
		}
	}
}

// killedAt runs a manager that is killed at a request, and returns which that was. It is not if it gets its certificate before.
func (w *world) killedAt(n int64, after bool, host string) (killed bool, where string) {
	w.Helper()
	var (
		count atomic.Int64
		at    atomic.Pointer[string]
		c     = make(chan *child, 1)
	)
	count.Store(0)
	kill := func(r *http.Request, isAfter bool) {
		if isAfter == after && count.Add(1) == n {
			child := <-c
			child.kill()
			at.Store(&r.URL.Path)
		}
	}
	w.pebble.hook.Store(&kill)
	child := w.child()
	c <- child
	w.eventually("it is killed or done", func() bool { return at.Load() != nil || w.pair(host) != nil && len(w.shown()) == 0 })
	w.pebble.hook.Store(nil)
	child.kill()
	if path := at.Load(); path != nil {
		return true, *path
	}
	return false, ""
}

// Killed after each change of a file, it gets its certificate in the end, too.
func TestKilledAtEveryFile(t *testing.T) {
	w := newWorld(t)
	for n := 1; ; n++ {
		w.anew()
		host := fmt.Sprintf("file%d.example.com", n)
		w.route("shop", host, "nas")
		watcher, err := fsnotify.NewBufferedWatcher(1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{"var/lib/fnctl-acme", "var/lib/fnctl-acme/accounts", "var/lib/fnctl-acme/orders", "var/lib/fnctl/certificates", "run/fnctl-acme", "run/fnctl-acme/http-01"} {
			if err := errors.Join(os.MkdirAll(filepath.Join(w.paths.Root, dir), 0o755), watcher.Add(filepath.Join(w.paths.Root, dir))); err != nil {
				t.Fatal(err)
			}
		}
		child := w.child()
		where := w.killedAfter(n, child, watcher, host)
		watcher.Close()
		w.recovered(host, where)
		w.certified("nas", nil)
		if where == "" {
			if n < 20 {
				t.Errorf("there were %d changes only", n)
			}
			break
		}
	}
}

// killedAfter kills a manager after a number of changes, and returns what the last one was; "" if it got its certificate before.
func (w *world) killedAfter(n int, c *child, watcher *fsnotify.Watcher, host string) string {
	w.Helper()
	defer c.kill()
	for seen := 0; ; {
		select {
		case event := <-watcher.Events:
			if event.Has(fsnotify.Write) || event.Has(fsnotify.Chmod) {
				continue // a file that is still on its way to its name
			}
			if seen++; seen == n {
				c.kill()
				return event.String()
			}
		case err := <-watcher.Errors:
			w.Fatal(err)
		case <-time.After(2 * time.Second):
			if w.pair(host) != nil {
				return ""
			}
		}
	}
}

// Two managers that run at once, which systemd prevents, would only cost orders; one that ends in the middle of one leaves nothing.
func TestEndedDuringOrder(t *testing.T) {
	w := newWorld(t)
	w.route("shop", "shop.example.com")
	reached := make(chan struct{})
	once := sync.OnceFunc(func() { close(reached) })
	w.pebble.down.Store(false)
	hold := func(r *http.Request, after bool) {
		if !after && strings.HasPrefix(r.URL.Path, "/chalZ/") {
			once()
			time.Sleep(100 * time.Millisecond) // the order is under way when the service ends
		}
	}
	w.pebble.hook.Store(&hold)
	w.run()
	<-reached
	w.end()
	w.pebble.hook.Store(nil)
	if shown := w.shown(); len(shown) != 0 {
		t.Errorf("it is still shown: %v", shown)
	}
	s, err := certificates.ReadStatus(w.paths)
	if h, has := s.Of("shop.example.com"); err != nil || !has || h.Failures != 0 {
		t.Errorf("an end counts as a failure: %+v, %v", s, err)
	}
	w.run() // and the next one does not wait
	w.certified("shop.example.com", nil)
}
