package cli

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// serveOn is an app on a unix socket that speaks one protocol only.
func serveOn(t *testing.T, protocol platform.Protocol) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "app.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	spoken := new(http.Protocols)
	spoken.SetHTTP1(protocol == platform.HTTP1)
	spoken.SetUnencryptedHTTP2(protocol == platform.H2C)
	server := &http.Server{Protocols: spoken, Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return socket
}

// A deploy asks an app in the protocol that the app speaks.
func TestAnswersByProtocol(t *testing.T) {
	for _, speaks := range []platform.Protocol{platform.HTTP1, platform.H2C} {
		socket := serveOn(t, speaks)
		for _, asked := range []platform.Protocol{platform.HTTP1, platform.H2C} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			if err := answers(ctx, socket, asked); (err == nil) != (asked == speaks) {
				t.Errorf("an app that speaks %s, asked in %s: %v", speaks, asked, err)
			}
			cancel()
		}
	}
}
