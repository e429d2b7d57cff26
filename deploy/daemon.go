package deploy

import (
	"context"
	"net/http"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// daemonTimeout bounds a question to the gateway or the activator, with its answer.
const daemonTimeout = 3 * time.Second

// AskDaemon gets a page of the gateway or the activator over its status socket, whatever its status is.
func AskDaemon(ctx context.Context, socket, path string) (*http.Response, error) {
	client := http.Client{Timeout: daemonTimeout, Transport: &http.Transport{DisableKeepAlives: true, DialContext: platform.DialUnix(socket)}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://daemon"+path, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}
