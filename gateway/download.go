package gateway

import (
	"errors"
	"io"
	"time"

	"github.com/fnctl/fnctl/gateway/netio"
	"github.com/fnctl/fnctl/gateway/wire"
)

const (
	// promptContent is the length of a response whose head is not sent before its content: what is so short, and says how long
	// it is, is no stream.
	promptContent = 64 << 10
	// maxAhead is how much of a response is read ahead of a slow client.
	maxAhead = 256 << 10
	// stallTime is how long a client is waited for until it counts as slow. Fast ones have the gateway wait, too, for as long as they take to
	// empty a buffer.
	stallTime = 10 * time.Millisecond
)

// download is the content of a response on its way to the client. It is passed on as it comes. When a write has waited for the client
// for stallTime, and what is left may fit, it is read ahead, into a queue, so that the instance is free when it has sent all. The write
// goes on meanwhile, and after it the rest is taken from the queue. Where nothing is read ahead, and when the queue is full, the client is
// measured: the instance waits for it.
type download struct {
	x       *exchange
	a       attempt
	length  int64         // -1: not known
	read    int64         // of that, from the instance
	prompt  bool          // the response is sent in one go
	stall   func()        // noticeStall, made once: each closure would be garbage
	took    func(n int64) // the same of take
	chosen  chan bool     // whether content is read ahead, after a stall
	queue   *netio.Queue  // what was
	over    chan struct{} // closed when nothing more is read ahead
	failed  error         // why the content is not whole
	trailer []wire.Field

	pace       *netio.Pace // of the client; nil: it was not slow yet
	moved      int64       // what it has taken
	own, acked int64       // what was sent, and what its machine has got, at the last look
}

// run passes the content on, and ends the response.
func (d *download) run(x *exchange, a attempt, length int64) error {
	d.begin(x, a, length)
	defer d.end()
	buf := x.buffers.Get()
	defer x.buffers.Put(buf)
	for {
		if ahead, err := d.prepare(); ahead || err != nil {
			return d.finishAhead(err)
		}
		n, err := a.read(buf[wire.ChunkRoom:len(buf)-2], x.deadline(x.share.idle))
		d.read += int64(n)
		if err != nil {
			return d.finish(buf, n, err)
		}
		if ahead, err := d.write(buf, n); ahead || err != nil {
			return d.finishAhead(err)
		}
	}
}

func (d *download) begin(x *exchange, a attempt, length int64) {
	d.x, d.a, d.length, d.prompt = x, a, length, length >= 0 && length <= promptContent
	if d.stall == nil {
		d.stall, d.took, d.chosen = d.noticeStall, d.take, make(chan bool, 1)
	}
	x.stall.Watch(stallTime, d.stall)
}

func (d *download) end() {
	d.pace.Stop()
	d.x.stall.Ignore()
	if d.queue != nil {
		d.queue.Close()
	}
	*d = download{stall: d.stall, took: d.took, chosen: d.chosen}
}

// prepare does what comes before a read that may wait: large content goes through the kernel, and nothing is kept from the client.
func (d *download) prepare() (ahead bool, err error) {
	x := d.x
	for !d.prompt && x.share.idle <= 0 && x.client.splices() {
		from, n := d.a.direct(x.end)
		if n <= promptContent {
			break
		}
		sent, err := x.client.splice(from, n, d.took)
		x.sent += sent
		if ahead = d.isAhead(); ahead || err != nil {
			return ahead, x.causeOf(err, errSilent)
		}
		if sent == 0 {
			break
		}
	}
	if d.prompt || d.a.ready() {
		return false, nil
	}
	err = x.client.flush()
	if ahead = d.isAhead(); err != nil {
		err = errClientGone
	}
	return ahead, err
}

// take notes what was taken from the instance without reading it.
func (d *download) take(n int64) {
	d.a.took(n)
	d.read += n
}

func (d *download) write(buf *netio.Buffer, n int) (ahead bool, err error) {
	d.prompt = false
	d.x.sent += int64(n)
	err = d.x.client.write(buf[:], n)
	if ahead = d.isAhead(); err != nil {
		err = errClientGone
	}
	return ahead, err
}

// finish ends a response with the last n bytes, after which reading has ended.
func (d *download) finish(buf *netio.Buffer, n int, err error) error {
	x := d.x
	x.stall.Ignore()
	d.endReading(err)
	if n > 0 {
		if _, err := d.write(buf, n); err != nil {
			return err
		}
	}
	return d.conclude()
}

// endReading takes in why reading has ended, and gives the instance back if it is not needed any more.
func (d *download) endReading(err error) {
	x, a := d.x, d.a
	switch {
	case errors.Is(err, io.EOF):
		d.trailer = a.trailer()
	case x.wasConcluded() && d.length < 0:
	default:
		d.failed = x.causeOf(err, errSilent)
	}
	if d.failed != nil || !a.uploading() {
		x.leave(a, d.failed == nil)
	}
}

// conclude ends the response, of which all content is sent.
func (d *download) conclude() error {
	if d.failed != nil {
		return d.failed
	}
	return d.x.finishResponse(d.trailer)
}

// isAhead reports whether the content is read ahead from now on, because the last write has stalled. It follows each one.
func (d *download) isAhead() bool {
	if !d.x.stall.Noticed() {
		return false
	}
	if <-d.chosen {
		return true
	}
	d.pace.Go()
	d.x.stall.Watch(stallTime, d.stall)
	return false
}

// noticeStall is called while a write waits for the client.
func (d *download) noticeStall() {
	x := d.x
	if d.pace == nil {
		d.pace = x.proxy.newPace(d.taken, func() { x.interrupt(errSlowReader) })
	}
	if d.length < 0 || d.length-d.read <= maxAhead {
		const ofBoth = 2 * netio.BufferRoom // one that is being read into, and one that is being written
		d.queue = netio.NewQueue(x.buffers, &x.pool.env.held, maxAhead+ofBoth)
	}
	if d.queue == nil {
		d.pace.Wait()
		d.chosen <- false
		return
	}
	d.over = make(chan struct{})
	d.chosen <- true
	d.readAhead()
}

// readAhead reads for as long as there is room. finishAhead joins it.
func (d *download) readAhead() {
	defer close(d.over)
	defer d.queue.End()
	for {
		buf := d.queue.Room()
		if buf == nil {
			d.pace.Wait()
			goesOn := d.queue.AwaitRoom()
			d.pace.Go()
			if !goesOn {
				d.endReading(errClientGone)
				return
			}
			continue
		}
		n, err := d.a.read(buf[wire.ChunkRoom:len(buf)-2], d.x.deadline(d.x.share.idle))
		d.queue.Put(buf, n)
		if err != nil {
			d.endReading(err)
			return
		}
	}
}

// finishAhead writes what is read ahead, if anything is, and ends the response. The error is that of the write that has stalled.
func (d *download) finishAhead(err error) error {
	if d.queue == nil {
		return err
	}
	if err == nil {
		err = d.drain()
	}
	if err != nil { // a client that takes nothing ends the reading
		d.x.interrupt(errClientGone)
		d.queue.Break()
	}
	<-d.over
	if err != nil {
		return err
	}
	return d.conclude()
}

func (d *download) drain() error {
	for {
		buf, n := d.queue.Take()
		if buf == nil {
			return nil
		}
		d.x.sent += int64(n)
		err := d.x.client.write(buf[:], n)
		d.queue.Give(buf)
		if err == nil && d.queue.IsEmpty() {
			err = d.x.client.flush()
		}
		if err != nil {
			return errClientGone
		}
	}
}

// taken is how much the client has taken: what was written, or its share in what its machine has got, whichever is more. For the first
// comes in jumps, as long as the kernel has room for much, and the second may be that of others on the connection.
func (d *download) taken() int64 {
	own := d.x.stall.Sent()
	acked, sharers := d.x.client.acked()
	d.moved += max(own-d.own, (acked-d.acked)/max(sharers, 1))
	d.own, d.acked = own, acked
	return d.moved
}
