package gateway

import "time"

// MetricAccessLogDropped counts the requests that an access log has left out to keep up. Whoever writes the log counts it.
const MetricAccessLogDropped = "fnctl_gateway_access_log_dropped_total"

// Access is what is told of one request that has ended.
type Access struct {
	// At is when the request arrived.
	At time.Time
	// Function, Revision and Instance are whom it was for: ping, ping-00001, ping-00001@3. They are empty where it did not
	// get that far.
	Function, Revision, Instance string
	Method, Host                 string
	// Path has no query, which may carry secrets.
	Path string
	// Protocol is the client's: HTTP/1.1, HTTP/2.0.
	Protocol string
	Status   int
	// Duration is the time from arrival to the last byte, FirstByte that to the head of the response, 0 if there was none.
	Duration, FirstByte time.Duration
	// Queued is how long the request waited for an instance, Cold for one that had to start, 0 if there was one.
	Queued, Cold time.Duration
	RequestID    string
	// Peer is the address of the client, without its port.
	Peer string
	// Received and Sent are bytes of content, from and to the client.
	Received, Sent int64
	// Aborted is why the request broke off, empty if it did not.
	Aborted string
	// Retries is how often the request was sent again.
	Retries int
}

// AccessLog is told of each request that has ended.
type AccessLog interface {
	// Record is called by many at once, and must not wait. What a points to is only lent: it changes after the call.
	Record(a *Access)
}
