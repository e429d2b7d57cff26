// Package certificates is where the certificates of hosts are: files that one service writes, and that the gateway reads.
//
//	/var/lib/fnctl/certificates/HOST.pem    a certificate with its key (Store)
//	/run/fnctl-acme/http-01/TOKEN           what an authority is to find at a host, by HTTP (Challenges)
//	/run/fnctl-acme/tls-alpn-01/HOST.pem    what it is to find there, by TLS
//
// Who writes them is the user fnctl-acme; who reads them are the members of the group fnctl-gateway. The two daemons say nothing to each
// other but by these files, so that each may end at any time: what was issued serves on.
//
// The packages below it make certificates: acme has those of public authorities, internal those that this machine signs itself.
package certificates
