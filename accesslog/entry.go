package accesslog

import (
	"strconv"
	"time"

	"github.com/fnctl/fnctl/gateway"
)

// Identifier tells the access log from what the gateway has to say itself: "journalctl -t fnctl-access".
const Identifier = "fnctl-access"

// The longest values that are written. A client chooses its path.
const (
	maxValue   = 255
	maxPath    = 1024
	maxMessage = 200 // of the path in MESSAGE
)

// appendEntry appends an entry in journald's native protocol: a line NAME=value for each field. What is empty or zero has
// no field, since each costs journald time and space.
func appendEntry(b []byte, a *gateway.Access) []byte {
	b = append(b, "SYSLOG_IDENTIFIER="+Identifier+"\n"...)
	b = appendMessage(b, a)
	b = appendText(b, "FNCTL_FUNCTION=", a.Function, maxValue)
	b = appendText(b, "FNCTL_REVISION=", a.Revision, maxValue)
	b = appendText(b, "FNCTL_INSTANCE=", a.Instance, maxValue)
	b = appendText(b, "FNCTL_REQUEST_ID=", a.RequestID, maxValue)
	b = appendText(b, "FNCTL_METHOD=", a.Method, maxValue)
	b = appendText(b, "FNCTL_HOST=", a.Host, maxValue)
	b = appendText(b, "FNCTL_PATH=", a.Path, maxPath)
	b = appendText(b, "FNCTL_PROTOCOL=", a.Protocol, maxValue)
	b = appendText(b, "FNCTL_PEER=", a.Peer, maxValue)
	b = appendText(b, "FNCTL_ABORTED=", a.Aborted, maxValue)
	b = appendNumber(b, "FNCTL_ARRIVED=", a.At.UnixMicro()) // as the journal has times
	b = appendNumber(b, "FNCTL_STATUS=", int64(a.Status))
	b = appendNumber(b, "FNCTL_RECEIVED=", a.Received)
	b = appendNumber(b, "FNCTL_SENT=", a.Sent)
	b = appendNumber(b, "FNCTL_RETRIES=", int64(a.Retries))
	b = appendMillis(b, "FNCTL_DURATION_MS=", a.Duration)
	b = appendMillis(b, "FNCTL_QUEUED_MS=", a.Queued)
	b = appendMillis(b, "FNCTL_FIRST_BYTE_MS=", a.FirstByte)
	return appendMillis(b, "FNCTL_COLD_MS=", a.Cold)
}

// appendMessage appends what journalctl shows: GET /path 200 12.3ms ping-00001@3.
func appendMessage(b []byte, a *gateway.Access) []byte {
	if a.Status >= 500 {
		b = append(b, "PRIORITY=4\nMESSAGE="...) // warning
	} else {
		b = append(b, "PRIORITY=6\nMESSAGE="...) // info
	}
	b = append(appendPrintable(b, a.Method, maxValue), ' ')
	b = append(appendPrintable(b, a.Path, maxMessage), ' ')
	b = append(strconv.AppendInt(b, int64(a.Status), 10), ' ')
	b = append(appendTenths(b, a.Duration), "ms "...)
	b = appendPrintable(b, subjectOf(a), maxValue)
	if a.Cold > 0 {
		b = append(appendTenths(append(b, " cold="...), a.Cold), "ms"...)
	}
	if a.Aborted != "" {
		b = appendPrintable(append(b, " aborted="...), a.Aborted, maxValue)
	}
	return append(b, '\n')
}

// subjectOf is whom a request was for, as exactly as it is known.
func subjectOf(a *gateway.Access) string {
	for _, subject := range [...]string{a.Instance, a.Revision, a.Function} {
		if subject != "" {
			return subject
		}
	}
	return a.Host
}

func appendText(b []byte, field, value string, limit int) []byte {
	if value == "" {
		return b
	}
	return append(appendPrintable(append(b, field...), value, limit), '\n')
}

func appendNumber(b []byte, field string, value int64) []byte {
	if value == 0 {
		return b
	}
	return append(strconv.AppendInt(append(b, field...), value, 10), '\n')
}

func appendMillis(b []byte, field string, value time.Duration) []byte {
	if value == 0 {
		return b
	}
	return append(appendTenths(append(b, field...), value), '\n')
}

// appendTenths appends milliseconds. Journald keeps each value of a field once, and there are fewer tenths than nanoseconds.
func appendTenths(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, float64(d)/float64(time.Millisecond), 'f', 1, 64)
}

// appendPrintable appends what is printable ASCII, with all other bytes as URLs have them: a value can neither end its field
// nor control the terminal on which it is read.
func appendPrintable(b []byte, s string, limit int) []byte {
	const hex = "0123456789ABCDEF"
	end := len(b) + limit
	for i := range len(s) {
		if len(b) >= end {
			return append(b, "…"...)
		}
		if c := s[i]; c > ' ' && c < 0x7f {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&0xf])
		}
	}
	return b
}
