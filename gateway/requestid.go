package gateway

import (
	"crypto/rand"

	"github.com/fnctl/fnctl/gateway/wire"
)

// maxRequestID is the greatest length of a request id that is taken from a client.
const maxRequestID = 128

// requestID returns the id that a client gave to its request if it is sane, and makes one otherwise.
func requestID(fields []wire.Field) string {
	if given, once := find(fields, "x-request-id"); once && saneRequestID(given) {
		return string(given)
	}
	return rand.Text()
}

func saneRequestID(id []byte) bool {
	if len(id) == 0 || len(id) > maxRequestID {
		return false
	}
	for _, c := range id {
		if !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
