package netio_test

import (
	"bytes"
	crand "crypto/rand"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

func put(q *netio.Queue, buf *netio.Buffer, text []byte) {
	q.Put(buf, copy(buf[wire.ChunkRoom:len(buf)-2], text))
}

// What is taken is what was put, in its order, in pieces of any size, with others between. The memory is bounded, and given back.
func TestQueue(t *testing.T) {
	budget := &netio.Budget{Most: 1 << 30}
	q := netio.NewQueue(netio.NewBuffers(), budget, 4*netio.BufferRoom)
	content := make([]byte, 5<<20)
	crand.Read(content)
	go func() {
		defer q.End()
		for rest := content; len(rest) > 0; {
			buf := q.Room()
			if buf == nil {
				if !q.AwaitRoom() {
					t.Error("nobody takes")
					return
				}
				continue
			}
			n := min(rand.IntN(2000)*rand.IntN(20), len(rest), netio.BufferRoom)
			put(q, buf, rest[:n])
			rest = rest[n:]
		}
	}()
	var got bytes.Buffer
	for {
		buf, n := q.Take()
		if buf == nil {
			break
		}
		got.Write(wire.FrameChunk(buf[:], n)) // which writes around it
		q.Give(buf)
	}
	got.WriteString("0\r\n\r\n")
	var r wire.Reader
	r.Reset(&got)
	var c wire.Content
	c.Reset(&r, wire.Chunked(), 100)
	if all, err := io.ReadAll(&c); err != nil || !bytes.Equal(all, content) {
		t.Errorf("got %d bytes, %v", len(all), err)
	}
	q.Close()
	if !budget.Take(budget.Most) {
		t.Error("memory is missing")
	}
}

// A queue takes no more than it may, and of the budget no more than half; one that is there always gets on.
func TestQueueIsBounded(t *testing.T) {
	for name, test := range map[string]struct{ budget, most, want int }{
		"by itself":     {budget: 100, most: 4, want: 4},
		"by the budget": {budget: 6, most: 8, want: 3},
		"to one":        {budget: 2, most: 8, want: 1},
		"to nothing":    {budget: 1, most: 8},
	} {
		t.Run(name, func(t *testing.T) {
			budget := &netio.Budget{Most: int64(test.budget) * netio.BufferRoom}
			q := netio.NewQueue(netio.NewBuffers(), budget, test.most*netio.BufferRoom)
			if test.want == 0 {
				if q != nil {
					t.Fatal("there is one without memory")
				}
				return
			}
			whole := make([]byte, netio.BufferRoom)
			for range 3 {
				for i := range test.want {
					buf := q.Room()
					if buf == nil {
						t.Fatalf("no room for piece %d", i)
					}
					put(q, buf, whole)
				}
				if q.Room() != nil {
					t.Fatalf("there is room for more than %d", test.want)
				}
				for i := range test.want {
					buf, _ := q.Take()
					if i == 0 && q.Room() != nil {
						t.Error("there is room for what is still being taken")
					}
					q.Give(buf)
					if buf = q.Room(); buf == nil {
						t.Fatal("there is no room after something was taken")
					}
					q.Put(buf, 0)
				}
			}
			if !q.IsEmpty() {
				t.Error("something is left")
			}
			if !budget.Take(budget.Most - netio.BufferRoom) {
				t.Error("an empty queue has more than one buffer of the budget")
			}
		})
	}
}

// Small pieces share memory.
func TestQueueOfSmallPieces(t *testing.T) {
	q := netio.NewQueue(netio.NewBuffers(), &netio.Budget{Most: 2 * netio.BufferRoom}, 2*netio.BufferRoom)
	put(q, q.Room(), []byte("one "))
	if q.Room() != nil {
		t.Fatal("there is memory for two")
	}
}

// Whoever waits is told of the end.
func TestEndsOfQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := netio.NewQueue(netio.NewBuffers(), &netio.Budget{Most: 1 << 30}, netio.BufferRoom)
		taken := make(chan bool, 1)
		go func() {
			buf, _ := q.Take()
			taken <- buf != nil
		}()
		synctest.Wait()
		q.End()
		if <-taken {
			t.Error("something was taken from nothing")
		}
		q.Room()
		room := make(chan bool, 1)
		go func() { room <- q.AwaitRoom() }()
		synctest.Wait()
		q.Break()
		if <-room {
			t.Error("there is room though nobody takes")
		}
	})
}

// A queue for so many bytes has room for them, however small the pieces are in which they come.
func TestQueueIsFilled(t *testing.T) {
	for _, size := range []int{1, 1000, netio.BufferRoom/2 + 1, netio.BufferRoom - 1, netio.BufferRoom} {
		budget := &netio.Budget{Most: 1 << 30}
		q := netio.NewQueue(netio.NewBuffers(), budget, 8*netio.BufferRoom+netio.BufferRoom)
		piece := make([]byte, size)
		total := 0
		for total+size <= 8*netio.BufferRoom {
			buf := q.Room()
			if buf == nil {
				break
			}
			put(q, buf, piece)
			total += size
		}
		if q.Room() == nil { // which the end takes, too
			t.Errorf("pieces of %d: it is full with %d bytes", size, total)
		}
		q.Close()
	}
}
