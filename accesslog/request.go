package accesslog

import (
	"cmp"
	"time"

	"github.com/fnctl/fnctl/journal"
)

// Request is a line of the access log. "fnctl logs --requests -o json" prints it; its fields are an interface that scripts
// use. It has the fields of Entry under other names.
type Request struct {
	// Time is when it arrived.
	Time      journal.Time `json:"time"`
	Logged    journal.Time `json:"-"`
	Function  string       `json:"function,omitempty"`
	Revision  string       `json:"revision,omitempty"`
	Instance  string       `json:"instance,omitempty"`
	RequestID string       `json:"request_id"`
	Method    string       `json:"method"`
	Host      string       `json:"host"`
	Path      string       `json:"path"`
	Protocol  string       `json:"protocol"`
	Peer      string       `json:"peer,omitempty"`
	Status    int          `json:"status"`
	Aborted   string       `json:"aborted,omitempty"`
	Duration  float64      `json:"duration_ms"`
	Queued    float64      `json:"queued_ms"`
	FirstByte float64      `json:"first_byte_ms"`
	Cold      float64      `json:"cold_ms"`
	Received  int64        `json:"received_bytes"`
	Sent      int64        `json:"sent_bytes"`
	Retries   int          `json:"retries"`
}

// Entry is a request as the journal has it (appendEntry).
type Entry struct {
	Time      journal.Time `json:"FNCTL_ARRIVED"`
	Logged    journal.Time `json:"__REALTIME_TIMESTAMP"`
	Function  string       `json:"FNCTL_FUNCTION"`
	Revision  string       `json:"FNCTL_REVISION"`
	Instance  string       `json:"FNCTL_INSTANCE"`
	RequestID string       `json:"FNCTL_REQUEST_ID"`
	Method    string       `json:"FNCTL_METHOD"`
	Host      string       `json:"FNCTL_HOST"`
	Path      string       `json:"FNCTL_PATH"`
	Protocol  string       `json:"FNCTL_PROTOCOL"`
	Peer      string       `json:"FNCTL_PEER"`
	Status    int          `json:"FNCTL_STATUS,string"`
	Aborted   string       `json:"FNCTL_ABORTED"`
	Duration  float64      `json:"FNCTL_DURATION_MS,string"`
	Queued    float64      `json:"FNCTL_QUEUED_MS,string"`
	FirstByte float64      `json:"FNCTL_FIRST_BYTE_MS,string"`
	Cold      float64      `json:"FNCTL_COLD_MS,string"`
	Received  int64        `json:"FNCTL_RECEIVED,string"`
	Sent      int64        `json:"FNCTL_SENT,string"`
	Retries   int          `json:"FNCTL_RETRIES,string"`
}

// Subject is whom it was for, as exactly as it is known.
func (r Request) Subject() string { return cmp.Or(r.Instance, r.Revision, r.Function, r.Host) }

// Ended is when it ended. It was logged a moment later.
func (r Request) Ended() time.Time {
	return r.Time.Add(time.Duration(r.Duration * float64(time.Millisecond)))
}
