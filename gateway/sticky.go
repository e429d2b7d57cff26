package gateway

import (
	"bytes"
	"fmt"
	"math/bits"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"

	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

// stickyRequest is what a split needs of a request.
type stickyRequest interface {
	fields() []wire.Field
	// setCookie gives the client a cookie to stick by.
	setCookie(cookie string)
}

// draw returns the number below 100 that decides which revision gets a request. It is a function of nothing but what the
// request sticks by, if there is something: so it is the same in every gateway, before and after a restart.
func draw(r stickyRequest, by *platform.Sticky) int {
	if by == nil {
		return rand.IntN(100)
	}
	value := stickyValue(by, r.fields())
	if len(value) == 0 && by.Cookie == platform.ClientCookie {
		value = fmt.Appendf(nil, "%016x", rand.Uint64())
		r.setCookie(platform.ClientCookie + "=" + string(value) + "; Path=/; HttpOnly; SameSite=Lax")
	}
	if len(value) == 0 {
		return rand.IntN(100)
	}
	return percentile(value)
}

// percentile spreads values evenly over the numbers below 100. A client that chooses the value can choose the number, as with
// any function that needs no secret; the host of the revision is the easier way to it.
func percentile(value []byte) int {
	high, _ := bits.Mul64(xxhash.Sum64(value), 100)
	return int(high)
}

// stickyValue is what a request sticks by; empty if it has no such thing.
func stickyValue(sticky *platform.Sticky, fields []wire.Field) []byte {
	for _, f := range fields {
		switch {
		case sticky.Header != "":
			if f.Is(sticky.Header) {
				return f.Value
			}
		case f.Is("cookie"):
			if value := cookieValue(f.Value, sticky.Cookie); len(value) > 0 {
				return value
			}
		}
	}
	return nil
}

// cookieValue is the value of the first cookie of a name in a Cookie field (RFC 6265, section 4.2.1).
func cookieValue(cookies []byte, name string) []byte {
	for len(cookies) > 0 {
		var pair []byte
		pair, cookies, _ = bytes.Cut(cookies, []byte(";"))
		key, value, found := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
		if found && string(key) == name {
			return value
		}
	}
	return nil
}
