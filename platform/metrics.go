package platform

// The metrics that the gateway exposes and the activator and deploys read. They are the whole protocol, and any
// other proxy that exposes them can stand in the gateway's place.
const (
	// MetricRequestsStarted counts the requests that arrived, also those that are held. Labels: function, revision.
	MetricRequestsStarted = "fnctl_gateway_requests_started_total"
	// MetricInFlight is the number of requests held or running. Labels: function, revision.
	MetricInFlight = "fnctl_gateway_in_flight"
	// MetricInFlightSeconds is the integral of MetricInFlight over time. Labels: function, revision.
	MetricInFlightSeconds = "fnctl_gateway_in_flight_seconds_total"
	// MetricQueued is the number of requests held. Labels: function, revision.
	MetricQueued = "fnctl_gateway_queued"
	// MetricInstanceInFlight is the number of requests running on an instance. A draining instance is listed until it has
	// none. Labels: function, revision, instance, state.
	MetricInstanceInFlight = "fnctl_gateway_instance_in_flight"
	// MetricInstanceUnread is the number of these that an instance which has stopped reading has not read, and that lose
	// nothing if it is killed: open streams are not among them. An instance without such requests is not listed. Labels:
	// function, revision, instance.
	MetricInstanceUnread = "fnctl_gateway_instance_unread"
	// MetricRequests counts the requests that have ended. Labels: function, revision, code.
	MetricRequests = "fnctl_gateway_requests_total"
	// MetricAborted counts the responses that ended before their time. Labels: function, revision, reason.
	MetricAborted = "fnctl_gateway_aborted_total"
	// MetricWake is a histogram of how long an instance that a request had made ready took until it read. Labels: function, from (armed,
	// poised, standby).
	MetricWake = "fnctl_gateway_wake_seconds"
	// MetricBadRoutes is the number of functions whose route cannot be read. It has no labels and is always there, so
	// that a Prometheus server without it doesn't scrape the gateway, and one with it alone has seen that there is no load.
	MetricBadRoutes = "fnctl_gateway_bad_routes"
)
