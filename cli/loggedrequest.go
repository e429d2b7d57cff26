package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// loggedRequest is a line of the access log. "fnctl logs --requests -o json" prints it; its fields are an interface that scripts
// use. It has the fields of accessEntry under other names.
type loggedRequest struct {
	// Time is when it arrived.
	Time      journalTime `json:"time"`
	Logged    journalTime `json:"-"`
	Function  string      `json:"function,omitempty"`
	Revision  string      `json:"revision,omitempty"`
	Instance  string      `json:"instance,omitempty"`
	RequestID string      `json:"request_id"`
	Method    string      `json:"method"`
	Host      string      `json:"host"`
	Path      string      `json:"path"`
	Protocol  string      `json:"protocol"`
	Peer      string      `json:"peer,omitempty"`
	Status    int         `json:"status"`
	Aborted   string      `json:"aborted,omitempty"`
	Duration  float64     `json:"duration_ms"`
	Queued    float64     `json:"queued_ms"`
	FirstByte float64     `json:"first_byte_ms"`
	Cold      float64     `json:"cold_ms"`
	Received  int64       `json:"received_bytes"`
	Sent      int64       `json:"sent_bytes"`
	Retries   int         `json:"retries"`
}

// accessEntry is a request as the journal has it (appendAccess).
type accessEntry struct {
	Time      journalTime `json:"FNCTL_ARRIVED"`
	Logged    journalTime `json:"__REALTIME_TIMESTAMP"`
	Function  string      `json:"FNCTL_FUNCTION"`
	Revision  string      `json:"FNCTL_REVISION"`
	Instance  string      `json:"FNCTL_INSTANCE"`
	RequestID string      `json:"FNCTL_REQUEST_ID"`
	Method    string      `json:"FNCTL_METHOD"`
	Host      string      `json:"FNCTL_HOST"`
	Path      string      `json:"FNCTL_PATH"`
	Protocol  string      `json:"FNCTL_PROTOCOL"`
	Peer      string      `json:"FNCTL_PEER"`
	Status    int         `json:"FNCTL_STATUS,string"`
	Aborted   string      `json:"FNCTL_ABORTED"`
	Duration  float64     `json:"FNCTL_DURATION_MS,string"`
	Queued    float64     `json:"FNCTL_QUEUED_MS,string"`
	FirstByte float64     `json:"FNCTL_FIRST_BYTE_MS,string"`
	Cold      float64     `json:"FNCTL_COLD_MS,string"`
	Received  int64       `json:"FNCTL_RECEIVED,string"`
	Sent      int64       `json:"FNCTL_SENT,string"`
	Retries   int         `json:"FNCTL_RETRIES,string"`
}

// requestHeader is above what line returns.
const requestHeader = "Time                     Status  Duration  Queued    Cold      Instance              Request ID                  Request"

// line is a request for people. What clients choose comes last, since it may be long.
func (r loggedRequest) line() string {
	line := fmt.Sprintf("%s  %-6d  %-8s  %-8s  %-8s  %-20s  %-26s  %s %s", r.Time.Local().Format("2006-01-02 15:04:05.000"),
		r.Status, millisText(r.Duration), millisText(r.Queued), millisText(r.Cold), r.subject(), r.RequestID, r.Method, r.Path)
	if r.Aborted != "" {
		line += " broke off: " + r.Aborted
	}
	return line
}

// subject is whom it was for, as exactly as it is known.
func (r loggedRequest) subject() string { return cmp.Or(r.Instance, r.Revision, r.Function, r.Host) }

// ended is when it ended. It was logged a moment later.
func (r loggedRequest) ended() time.Time {
	return r.Time.Add(time.Duration(r.Duration * float64(time.Millisecond)))
}

func millisText(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 1000:
		return fmt.Sprintf("%.1fms", ms)
	}
	return fmt.Sprintf("%.2fs", ms/1000)
}

// journalTime is the time of an entry, which the journal has as microseconds.
type journalTime struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (t *journalTime) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	usec, err := strconv.ParseInt(text, 10, 64)
	t.Time = time.UnixMicro(usec).UTC()
	return err
}
