package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/units/systemd"
)

// A connection that an instance breaks off is a reason only if nothing else becomes known.
func TestBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(endNotice/2, cancel)
		began := time.Now()
		if err := brokenOff(ctx, fmt.Errorf("read: %w", io.EOF)); err == nil || time.Since(began) != endNotice/2 {
			t.Errorf("got %v after %v, want an error when the end of the process is known", err, time.Since(began))
		}
		other := errors.New("no such file")
		for _, err := range []error{nil, other} {
			began = time.Now()
			if got := brokenOff(t.Context(), err); !errors.Is(got, err) || time.Since(began) > 0 {
				t.Errorf("got %v after %v, want %v at once", got, time.Since(began), err)
			}
		}
	})
}

// An instance that printed nothing takes no hint from its error.
func TestExplainKeepsHint(t *testing.T) {
	s := starter{&Engine{Units: &systemd.Manager{}}}
	id := platform.InstanceID{Revision: platform.RevisionID{Function: "no-such-function", Number: 1}, Index: 1}
	for hint, reason := range map[string]error{
		"let it take file descriptor 3": platform.WithHint(errors.New("it listens elsewhere"), "let it take file descriptor 3"),
		"the app printed nothing; journalctl -u fn-no-such-function-00001@1.service has what systemd says": errors.New("it ended"),
	} {
		if got := platform.HintOf(s.explain(t.Context(), id, platform.RuntimeSocket, time.Now(), healthcheck{}, reason)); got != hint {
			t.Errorf("got %q, want %q", got, hint)
		}
	}
}
