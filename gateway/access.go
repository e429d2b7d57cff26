package gateway

import "time"

// MetricAccessLogDropped counts the requests that an access log has left out to keep up. The writer of the log counts it.
const MetricAccessLogDropped = "fnctl_gateway_access_log_dropped_total"

// Access is a record of one request that has ended.
type Access struct {
	// At is when the request arrived.
	At time.Time
	// Function, Revision and Instance are where it went: ping, ping-00001, ping-00001@3. They are empty as far as it did not
	// get there.
	Function, Revision, Instance string
	Method, Host                 string
	// Path is without the query, which may carry secrets.
	Path string
	// Protocol is that of the client: HTTP/1.1, HTTP/2.0.
	Protocol string
	Status   int
	// Duration is the time from arrival to the last byte, FirstByte that to the head of the response, 0 if there was none.
	Duration, FirstByte time.Duration
	// Queued is how long the request waited for an instance, Cold how long for one that had to start; 0: it did not.
	Queued, Cold time.Duration
	RequestID    string
	// Peer is the address of the client, without its port: what the app is told, too.
	Peer string
	// Received and Sent are bytes of content, from and to the client.
	Received, Sent int64
	// Aborted is why the request broke off (client, timeout, upstream, shutdown); empty: it did not.
	Aborted string
	// Retries is how often the request was sent again.
	Retries int
}

// AccessLog gets each request that has ended.
type AccessLog interface {
	// Record is called by many goroutines at once, and must not wait. a is only lent: it changes after the call.
	Record(a *Access)
}
