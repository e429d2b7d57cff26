package grpc_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway/grpc"
)

func TestIsCall(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/grpc": true, "application/grpc+proto": true, "application/grpc;charset=x": true, "Application/GRPC": true,
		"application/grpc-web": false, "application/grpc-web+proto": false, "application/json": false, "": false,
	} {
		if got := grpc.IsCall(contentType); got != want {
			t.Errorf("%q: got %v", contentType, got)
		}
	}
}

func TestTimeout(t *testing.T) {
	for field, want := range map[string]time.Duration{
		"1S": time.Second, "300m": 300 * time.Millisecond, "0n": 0, "99999999u": 99999999 * time.Microsecond,
		"2M": 2 * time.Minute, "5H": 5 * time.Hour, "99999999H": math.MaxInt64 / time.Hour * time.Hour,
	} {
		if got, ok := grpc.Timeout(field); got != want || !ok {
			t.Errorf("%s: got %v, %v, want %v", field, got, ok, want)
		}
	}
	for _, field := range []string{"", "S", "1", "1s", "-1S", "+1S", "1 S", "123456789S", "0x1S"} {
		if got, ok := grpc.Timeout(field); ok {
			t.Errorf("%q: got %v", field, got)
		}
	}
}

func TestStatus(t *testing.T) {
	for status, want := range map[int]grpc.Status{
		http.StatusBadGateway: grpc.Unavailable, http.StatusServiceUnavailable: grpc.Unavailable, http.StatusTooManyRequests: grpc.Unavailable,
		http.StatusGatewayTimeout: grpc.Unavailable, http.StatusNotFound: grpc.Unimplemented, http.StatusLoopDetected: grpc.Unknown,
	} {
		if got := grpc.OfHTTP(status); got != want {
			t.Errorf("%d: got %d, want %d", status, got, want)
		}
	}
	for code, want := range map[uint32]grpc.Status{0: grpc.Internal, 2: grpc.Internal, 7: grpc.Unavailable, 8: grpc.Cancelled, 11: grpc.ResourceExhausted} {
		if got := grpc.OfReset(code); got != want {
			t.Errorf("reset %d: got %d, want %d", code, got, want)
		}
	}
}

func TestEscapeMessage(t *testing.T) {
	if got, want := grpc.EscapeMessage("100% of\r\n„it“ ~"), "100%25 of%0D%0A%E2%80%9Eit%E2%80%9C ~"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
