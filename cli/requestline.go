package cli

import (
	"fmt"

	"github.com/fnctl/fnctl/accesslog"
)

// requestHeader is above what requestLine returns.
const requestHeader = "Time                     Status  Duration  Queued    Cold      Instance              Request ID                  Request"

// requestLine is a request for people. What clients choose comes last, since it may be long.
func requestLine(r accesslog.Request) string {
	line := fmt.Sprintf("%s  %-6d  %-8s  %-8s  %-8s  %-20s  %-26s  %s %s", r.Time.Local().Format("2006-01-02 15:04:05.000"),
		r.Status, millisText(r.Duration), millisText(r.Queued), millisText(r.Cold), r.Subject(), r.RequestID, r.Method, r.Path)
	if r.Aborted != "" {
		line += " broke off: " + r.Aborted
	}
	return line
}

func millisText(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 1000:
		return fmt.Sprintf("%.1fms", ms)
	}
	return fmt.Sprintf("%.2fs", ms/1000)
}
