// Package wire is the format of HTTP/1.0 and HTTP/1.1 messages (RFC 9110, RFC 9112): it reads heads and contents, and
// writes them. It knows nothing of connections but that they are read, and nothing of the gateway.
//
// It is strict, because a proxy and the app behind it must never disagree about where a message ends. What RFC 9112 allows
// a recipient to repair (a bare LF, a folded line, white space before a colon, two equal lengths, a length beside a transfer
// coding) is refused instead.
//
// Nothing is allocated for a message when its Request, Response, Reader and Content are used again.
package wire
