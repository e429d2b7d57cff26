// Package acme is the service that keeps the certificates of hosts: it learns from the routes which hosts are reached, asks an authority
// for a certificate of each (RFC 8555), asks again before it ends, and writes what it gets where the gateway finds it. Hosts that no
// public authority signs for get one of the machine's own.
//
//	Manager   which host is due, and what became of it
//	Client    one order, from the account to the chain
//	solvers   how an authority is shown whose a host is: files, or a program that makes records of the DNS
//
// What was tried is written down before it is tried, so that a service that is killed, or that starts in a loop, asks no more often than
// one that fails.
package acme
