package deploy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/fnctl/fnctl/gateway/wire"
	"github.com/fnctl/fnctl/platform"
)

// answerLimit is how much of an answer is kept to look at, in bytes: more than the heads of usual ones.
const answerLimit = 64 << 10

// impassableError is what is wrong with an answer that the gateway would not pass on, though others may understand it.
type impassableError struct{ reason error }

func (e impassableError) Error() string {
	return fmt.Sprintf("the gateway cannot pass on what it answers: %v", e.reason)
}

func (e impassableError) Unwrap() error { return e.reason }

func impassable(reason error) error {
	return platform.WithHint(impassableError{reason}, "clients may read such an answer in different ways; docs/troubleshooting.md, 502")
}

// answerKeeper keeps the beginning of what an instance answers, as it came. Its methods may be called from several goroutines.
type answerKeeper struct {
	mu   sync.Mutex
	kept []byte
}

// keep has a transport's connections kept.
func (k *answerKeeper) keep(transport *http.Transport) {
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return keptConn{conn, k}, nil
	}
}

type keptConn struct {
	net.Conn
	keeper *answerKeeper
}

func (c keptConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	if len(c.keeper.kept) < answerLimit {
		c.keeper.kept = append(c.keeper.kept, p[:n]...)
	}
	return n, err
}

// check reads the head as the gateway does. HTTP/2 says the same in one way only.
func (k *answerKeeper) check(protocol platform.Protocol) error {
	if protocol == platform.H2C {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for rest := k.kept; ; {
		n, _, err := wire.HeadLength(rest, 0)
		if err != nil {
			return impassable(err)
		}
		if n == 0 {
			return nil // it is longer than what is kept
		}
		var res wire.Response
		if err := res.Parse(rest[:n]); err != nil {
			return impassable(err)
		}
		if res.Status >= http.StatusOK {
			return nil
		}
		rest = rest[n:]
	}
}
