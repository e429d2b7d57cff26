package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/accesslog"
	"github.com/fnctl/fnctl/journal"
)

func TestRequestPrinter(t *testing.T) {
	when := journal.Time{Time: time.Date(2023, 11, 14, 22, 13, 20, 123456000, time.Local)}
	requests := []accesslog.Request{
		{Time: when, Function: "ping", Revision: "ping-00001", Instance: "ping-00001@3", RequestID: "abc", Method: "GET",
			Host: "ping.localhost", Path: "/ping", Status: 200, Duration: 246.4, Queued: 240, Cold: 1240, Sent: 19},
		{Time: when, Method: "POST", Host: "example.com", Path: "/<x>", Status: 404, Duration: 0.1, Aborted: "client"},
	}
	for _, c := range []struct {
		json bool
		want string
	}{
		{false, `Time                     Status  Duration  Queued    Cold      Instance              Request ID                  Request
2023-11-14 22:13:20.123  200     246.4ms   240.0ms   1.24s     ping-00001@3          abc                         GET /ping
2023-11-14 22:13:20.123  404     0.1ms     -         -         example.com                                       POST /<x> broke off: client
`},
		{true, `{"time":` + jsonText(t, when) + `,"function":"ping","revision":"ping-00001","instance":"ping-00001@3","request_id":"abc",` +
			`"method":"GET","host":"ping.localhost","path":"/ping","protocol":"","status":200,"duration_ms":246.4,"queued_ms":240,` +
			`"first_byte_ms":0,"cold_ms":1240,"received_bytes":0,"sent_bytes":19,"retries":0}
{"time":` + jsonText(t, when) + `,"request_id":"","method":"POST","host":"example.com","path":"/<x>","protocol":"","status":404,` +
			`"aborted":"client","duration_ms":0.1,"queued_ms":0,"first_byte_ms":0,"cold_ms":0,"received_bytes":0,"sent_bytes":0,"retries":0}
`},
	} {
		var out strings.Builder
		printer := requestPrinter{w: &out, json: c.json}
		for _, r := range requests {
			if err := printer.next(r); err != nil {
				t.Fatal(err)
			}
		}
		if out.String() != c.want {
			t.Errorf("got\n%s\nwant\n%s", out.String(), c.want)
		}
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
