package cli

import (
	"context"
	"io"
	"strings"
	"testing"
)

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "Yes\r\n": true, " y \n": true, "yes": true, "n\n": false, "\n": false, "": false, "yep\n": false, "ja\n": false,
	} {
		var out strings.Builder
		got, err := confirm(t.Context(), strings.NewReader(answer), &out, "remove shop?")
		if err != nil || got != want || out.String() != "remove shop? [y/N] " {
			t.Errorf("%q: got %v, %v after %q", answer, got, err, out.String())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, end := io.Pipe()
	defer end.Close()
	if yes, err := confirm(ctx, silent, io.Discard, "?"); yes || err == nil {
		t.Errorf("interrupted: got %v, %v", yes, err)
	}
}
