package gateway

import (
	"net/http"
	"sync/atomic"
	"time"
)

// clock has the date as a field has it, made once a second.
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
