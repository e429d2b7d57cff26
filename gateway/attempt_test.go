package gateway

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway/wire"
)

// lateClient ends its content in about the moment in which that is not waited for any longer.
type lateClient struct {
	client
	after   time.Duration
	over    atomic.Bool
	spoiled atomic.Bool
}

func (c *lateClient) Read([]byte) (int, error) {
	time.Sleep(c.after)
	return 0, io.EOF
}

func (c *lateClient) trailer() []wire.Field { return nil }
func (c *lateClient) interruptWrite()       {}

func (c *lateClient) interruptRead() {
	if c.over.Load() {
		c.spoiled.Store(true)
	}
}

// What reads the content for an attempt over HTTP/2 is not ended once that is over: it would be the next request's.
func TestContentIsTakenBackOnce(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	for i := range 2000 {
		group.Go(func() {
			c := &lateClient{after: uploadTimeout + time.Duration(i%20-10)*10*time.Microsecond}
			r := &request{client: c, req: &wire.Request{}}
			r.lifetime.restart(c)
			b := &attemptBody{request: r}
			reading := make(chan bool)
			go func() {
				close(reading)
				b.Read(make([]byte, 10))
			}()
			<-reading
			b.takeBack(true)
			c.over.Store(true)
			time.Sleep(10 * time.Millisecond)
			if c.spoiled.Load() {
				t.Error("the next request is interrupted")
			}
		})
	}
	group.Wait()
}
