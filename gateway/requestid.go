package gateway

import "crypto/rand"

const headerRequestID = "X-Request-Id"

// maxRequestID is the longest request id that is taken from a client.
const maxRequestID = 128

// requestID keeps the id that a client gave to its request if it is sane, and makes one otherwise.
func requestID(given []string) string {
	if len(given) == 1 && saneRequestID(given[0]) {
		return given[0]
	}
	return rand.Text()
}

func saneRequestID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		if c := id[i]; !isAlphanumeric(c) && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
