// Package gateway is the data path of fnctl: it accepts HTTP, finds the function by its host, picks an instance of a
// revision, holds the request while none is ready, and counts.
//
// It knows nothing but files. A route says which hosts a function has and how its traffic is split; a socket file that exists
// is an instance that may be used, and one that is gone is draining.
//
// # The path of a request
//
//	clients.go          accepts the connection
//	                    (package secure, if it is one over TLS; totls.go sends others there)
//	clientconn.go       waits for a request, reads its head (package wire), and has the exchange serve it; connset.go has it asleep
//	                    while none comes;
//	http2server.go      does the same for HTTP/2
//	serve.go            finds the target of the host (fleet.go, table.go), then makes attempts until one is answered:
//	hold.go               reads the content of the request, if it is not long
//	pool.go               lends an instance, or holds the request until one is ready (prover.go)
//	http1attempt.go       sends the request over a connection to the instance (upstream.go, instanceconn.go), and reads the answer
//	relay.go              sends the answer to the client as it comes; tunnel.go if it is a WebSocket, and tunnellink.go moves that
//	download.go           its content, and reads that ahead of a slow client
//	clientresponse.go     writes it (clientrequest.go is the client's end of the exchange)
//	exchange.go         answers, if no instance did; counts, and writes to the access log
//
// The files stand on one another in this order: gateway.go, which starts and stops everything; status.go, collector.go and
// succession.go, for those that look from outside; the path of a request; fleet.go, which routes.go, sockets.go and failures.go
// keep up to date; pool.go, with what it is made of (lease.go, prover.go, wake.go, standby.go, and roster.go with liveness.go, peers.go,
// instance.go and counts.go); the connections to instances; and at the bottom what knows nothing of the rest, with the packages wire (messages) and netio (bytes).
//
// # Words
//
//	exchange       one request and its response
//	attempt        one try to get the response from an instance; a request that was provably not read gets another one
//	target, share  the function to which a host leads; the part of its requests that a revision gets
//	pool           the requests that wait for instances of one revision, and who gets which
//	roster         these instances, and what all gateways have in flight on them
//	lease          the right to send one request to an instance
//	probe, prove   a connection and the first byte of a request, which the instance must read; the loop that probes until it has
//	wake           that a request has an instance made ready: from armed, from poised, or from standby, where it only slept
//	held back      of an instance that is poised: nothing is sent to it for as long as another one is ready, or on its way
//	strike         takes the proof back from an instance that broke off a request
//	deaf           of an instance: it had read, and has stopped to
//	unread         what a deaf instance, or one that drains and would be, has not read: nothing is lost of it with the instance
//	stream         a response that lasts for as long as its client likes: a WebSocket or an event stream
//	predecessor,   the gateway that had the sockets before this one and finishes what it has; the gateway that has them now.
//	successor        Both are peers (handover.go)
//	lender, slot   the gateway that lends the instances of functions with a limit to all peers; what it lends: room for one request
//
// # Locks
//
// A pool, its roster, its peers, its counts and its instances have one mutex. Of their methods, those take it that others than these call.
// A mutex is taken before those to the right of it:
//
//	fleet → pool → recent, predecessors, predecessorLink, upstream
//	        pool → lifetime → conn
//	netio.Pace → lifetime
//	connSet → clientConn → lifetime
//	http2Server → lifetime
//	tunnel → clientConn, conn
//
// That of a ReadLimit and that of hangups come after all; the latter is not held while a function of it runs. An upstream calls its pool with no mutex held.
//
// # Endings
//
// The gateway stops in this order. Each step ends what the one before it has left.
//
//	predecessors.closeIdle   predecessors close idle connections, unless this gateway has a successor, which asks for that itself
//	clients.stop             nothing is accepted; connections close once they are idle, unless there is a successor
//	fleet.concludeStreams    streams end in the way of their protocol, when their time of grace is over
//	clients.wait             the other requests end by themselves; so do those of predecessors; then a successor must agree
//	clients.interrupt        DrainTimeout is over: requests fail, and their clients are told if they can be; nothing is waited for that
//	                         was sent before
//	clients.close            connections are closed; then those to instances, when their requests have ended
//
// A handover is dismiss (this gateway is to accept nothing more), resigned (it does not), release (it may end). After that it hands its
// tunnels over, and concludes no streams: the rest has its own time, until its successor is stopped and has it hurry.
//
// An exchange ends with its response. Before that end it
//
//	lifetime.interrupt       the client going or being too slow (netio.Pace), its content failing, or the gateway stopping: whatever it waits
//	                         for fails
//	lifetime.conclude        an instance that drains, or the gateway stopping: the stream ends as if by itself
//	pool.abandon             an interruption or its time, while it is held
//	pool.refuse              a revision that cannot start, or that no route reaches any more, while it is held
//
// An instance vanishes (its socket is gone), drains (it gets nothing new), and is forgotten with its last lease.
package gateway
