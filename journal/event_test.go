package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestEvent(t *testing.T) {
	systemd := func(message, unit, text, more string) string {
		return fmt.Sprintf(`"_PID":"1","MESSAGE_ID":%q,"UNIT":%q,"MESSAGE":%q%s`, message, unit, unit+": "+text, more)
	}
	const service = "fn-ping-00001@2.service"
	for _, c := range []struct{ name, fields, want string }{
		{"scale", `"FNCTL_EVENT":"scale","FNCTL_FUNCTION":"ping","FNCTL_REVISION":"ping-00001","FNCTL_FROM":"1","FNCTL_TO":"2","FNCTL_WHY":"2 instances: …"`,
			"scale ping-00001 1 → 2; 2 instances: …"},
		{"drain", `"FNCTL_EVENT":"drain","FNCTL_FUNCTION":"ping","FNCTL_REVISION":"ping-00001","FNCTL_INSTANCE":"ping-00001@2"`, "drain ping-00001@2 "},
		{"ready", `"FNCTL_EVENT":"ready","FNCTL_FUNCTION":"ping","FNCTL_INSTANCE":"ping-00001@2","FNCTL_DURATION":"210ms"`,
			"ready ping-00001@2 accepted a connection after 210ms"},
		{"fail", `"FNCTL_EVENT":"fail","FNCTL_FUNCTION":"ping","FNCTL_INSTANCE":"ping-00001@2","FNCTL_ERR":"no"`, "fail ping-00001@2 no"},
		{"a start by the activator is told by systemd", `"FNCTL_EVENT":"start","FNCTL_FUNCTION":"ping","FNCTL_INSTANCE":"ping-00001@2"`, ""},
		{"no event", `"FNCTL_FUNCTION":"ping"`, ""},
		{"another function", `"FNCTL_EVENT":"drain","FNCTL_FUNCTION":"pong"`, ""},
		{"started", systemd(messageStarted, service, "Started.", ""), "start ping-00001@2 "},
		{"started, a socket", systemd(messageStarted, "fn-ping-00001@2.socket", "Listening.", ""), ""},
		{"started, another function", systemd(messageStarted, "fn-ping-pong-00001@2.service", "Started.", ""), ""},
		{"started, another service", systemd(messageStarted, "ssh.service", "Started.", ""), ""},
		{"stopped", systemd(messageSuccess, service, "Deactivated successfully.", ""), "stop ping-00001@2 "},
		{"exited", systemd(messageExited, service, "Main process exited, code=exited, status=1/FAILURE", ""),
			"fail ping-00001@2 main process exited, code=exited, status=1/FAILURE"},
		{"the pause after an end is cut short", systemd(messageExited, service, "Control process exited, code=killed, status=9/KILL", `,"COMMAND":"ExecStopPost"`), ""},
		{"failed, after an exit", systemd(messageFailure, service, "Failed with result 'exit-code'.", `,"UNIT_RESULT":"exit-code"`), ""},
		{"failed, without an exit", systemd(messageFailure, service, "Failed with result 'timeout'.", `,"UNIT_RESULT":"timeout"`),
			"fail ping-00001@2 failed with result 'timeout'"},
		{"another message of systemd", systemd("00000000000000000000000000000000", service, "Hello.", ""), ""},
		{"no time", `"__REALTIME_TIMESTAMP":"x","FNCTL_EVENT":"drain","FNCTL_FUNCTION":"ping"`, ""},
		{"fields that are no text", `"FNCTL_EVENT":"drain","FNCTL_FUNCTION":"ping","FNCTL_WHY":[1,2],"FNCTL_ERR":null,"FNCTL_REVISION":["a","b"]`, "drain  "},
	} {
		t.Run(c.name, func(t *testing.T) {
			var entry Entry
			if err := json.Unmarshal([]byte(`{"__REALTIME_TIMESTAMP":"1700000000123456",`+c.fields+"}"), &entry); err != nil {
				t.Fatal(err)
			}
			got := ""
			if e, ok := entry.event("ping"); ok {
				got = fmt.Sprint(e.Event, " ", e.Subject(), " ", e.Why)
				if want := time.UnixMicro(1700000000123456); !e.Time.Equal(want) {
					t.Errorf("got time %v, want %v", e.Time, want)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestDecodeJournalSaysWhatIsWrong(t *testing.T) {
	n := 0
	err := decode(strings.NewReader("{}\n{}\n{"), func(Entry) error { n++; return nil })
	if n != 2 || err == nil || !strings.HasPrefix(err.Error(), "read the journal: ") {
		t.Errorf("got %d entries, %v", n, err)
	}
	if err := decode(strings.NewReader("{}"), func(Entry) error { return ErrStop }); !errors.Is(err, ErrStop) {
		t.Errorf("got %v, want what the callback said", err)
	}
}
