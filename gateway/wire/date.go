package wire

import (
	"sync/atomic"
	"time"
)

// dateLayout is that of RFC 9110, section 5.6.7.
const dateLayout = "Mon, 02 Jan 2006 15:04:05 GMT"

// Date has the time as the value of a field, made once a second. Its zero value is ready, and any goroutine may use it.
type Date struct{ last atomic.Pointer[stamp] }

type stamp struct {
	second int64
	text   []byte
}

// Now returns the value, which nobody may change.
func (d *Date) Now() []byte {
	now := time.Now()
	s := d.last.Load()
	if s == nil || s.second != now.Unix() {
		s = &stamp{second: now.Unix(), text: now.UTC().AppendFormat(nil, dateLayout)}
		d.last.Store(s)
	}
	return s.text
}
