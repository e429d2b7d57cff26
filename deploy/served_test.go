package deploy

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"testing"

	"github.com/fnctl/fnctl/platform"
)

func TestHasTaken(t *testing.T) {
	route := platform.Route{
		Function: "ping", Hosts: []string{"ping.example.com"},
		Traffic: []platform.TrafficShare{{Revision: platform.RevisionID{Function: "ping", Number: 3}, Percent: 100}},
	}
	answer := func(change func(*platform.Route)) string {
		other := route
		other.Traffic = slices.Clone(route.Traffic)
		change(&other)
		data, err := json.Marshal(other)
		if err != nil {
			t.Fatal(err)
		}
		return string(data) + "\n"
	}
	for name, c := range map[string]struct {
		code int
		body string
		want bool
	}{
		"the same":         {http.StatusOK, answer(func(*platform.Route) {}), true},
		"another revision": {http.StatusOK, answer(func(r *platform.Route) { r.Traffic[0].Revision.Number = 2 }), false},
		"another limit":    {http.StatusOK, answer(func(r *platform.Route) { r.Traffic[0].MaxBody = 7 }), false},
		"paused":           {http.StatusOK, answer(func(r *platform.Route) { r.Paused = true }), false},
		"none":             {http.StatusOK, "null\n", false},
		"an older gateway": {http.StatusNotFound, "404 page not found\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "gateway.sock")
			if !hasTaken(t.Context(), socket, route) {
				t.Error("a gateway that does not run has not taken it")
			}
			listener, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/routes/ping" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.WriteHeader(c.code)
				w.Write([]byte(c.body))
			})}
			defer server.Close()
			go server.Serve(listener)
			if got := hasTaken(t.Context(), socket, route); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
