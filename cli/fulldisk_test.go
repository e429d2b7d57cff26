package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// What a full disk or quota says comes with what helps, however deep it is wrapped, and nothing else does.
func TestHintAtFullDisk(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{syscall.ENOSPC, true},
		{syscall.EDQUOT, true},
		{fmt.Errorf("deploy: %w", &os.PathError{Op: "write", Path: "/x", Err: syscall.EDQUOT}), true},
		{errors.Join(errors.New("first"), syscall.ENOSPC), true},
		{syscall.EACCES, false},
	} {
		var printed strings.Builder
		printError(&printed, hintAtFullDisk(c.err))
		if hinted := strings.Contains(printed.String(), "fnctl gc"); hinted != c.want {
			t.Errorf("%v: it prints %s", c.err, printed.String())
		}
	}
	if err := hintAtFullDisk(nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}
