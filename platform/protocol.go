package platform

import "fmt"

// Protocol is the protocol that an app speaks on its socket.
type Protocol string

// The protocols.
const (
	// HTTP1 is HTTP/1.1.
	HTTP1 Protocol = "http1"
	// H2C is HTTP/2 without TLS, which the gateway begins without asking.
	H2C Protocol = "h2c"
)

var protocols = []Protocol{HTTP1, H2C}

// CheckFor returns why an app of a runtime cannot speak the protocol, nil if it can.
func (p Protocol) CheckFor(runtime Runtime) error {
	if p == H2C && (runtime == RuntimeUvicorn || runtime == RuntimeGunicorn) {
		return fmt.Errorf("h2c is not for %s, which speaks no HTTP/2: leave protocol out, or use runtime: hypercorn, or a command", runtime)
	}
	return nil
}
