package gateway

import (
	"net/http"
	"sync/atomic"
	"time"
)

// past is a deadline that ends every read and write at once.
var past = time.Unix(1, 0)

// clock has the date as the value of a field, made once a second.
type clock struct{ last atomic.Pointer[stamp] }

type stamp struct {
	second int64
	text   []byte
}

func (c *clock) now() []byte {
	now := time.Now()
	s := c.last.Load()
	if s == nil || s.second != now.Unix() {
		s = &stamp{second: now.Unix(), text: now.UTC().AppendFormat(nil, http.TimeFormat)}
		c.last.Store(s)
	}
	return s.text
}
