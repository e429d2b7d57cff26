// Package gateway is the data path of fnctl: it accepts HTTP, finds the function by its host, picks an instance of a
// revision, holds the request while none is ready, and counts.
//
// It knows nothing but files. A route says which hosts a function has and how its traffic is split (routes.go, table.go);
// a socket file that exists is an instance that may be used, and one that is gone is draining (sockets.go). A pool
// (pool.go, spread.go, prover.go) holds the requests of one revision and lends them to its instances. All of that is
// apart from the HTTP engine (server.go, clients.go, exchange.go, attempt.go, upstream.go), which may be replaced.
package gateway
