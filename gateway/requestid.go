package gateway

import (
	"math/rand/v2"

	"github.com/fnctl/fnctl/gateway/wire"
)

// maxRequestID is the greatest length of a request id that is taken from a client.
const maxRequestID = 128

// requestID returns the id that a client gave to its request if it is sane, and makes one otherwise.
func requestID(fields []wire.Field) string {
	if given, once := find(fields, "x-request-id"); once && saneRequestID(given) {
		return string(given)
	}
	return newRequestID()
}

// newRequestID makes an id of 128 bits that no other request has. It is no secret, so that the generator of the runtime does, which is
// seeded by the kernel and asks it nothing more.
func newRequestID() string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [26]byte
	high, low := rand.Uint64(), rand.Uint64()
	for i := range 13 {
		id[i], id[13+i] = digits[high>>(5*i)%32], digits[low>>(5*i)%32]
	}
	return string(id[:])
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
