package admission_test

import (
	"testing"
	"time"

	"github.com/fnctl/fnctl/gateway/admission"
)

func benchmark(b *testing.B, text string, field func(token string) string) {
	p, token := policy(b, text)
	r, now := ask("/api/items", "User-Agent: bench", "Accept: */*", "Accept-Encoding: gzip", "Cookie: a=b", field(token)), start
	var denied *admission.Denial
	b.ReportAllocs()
	for b.Loop() {
		if _, denied = p.Decide(r, now); denied != nil {
			b.Fatal(denied)
		}
		now = now.Add(time.Microsecond)
	}
}

func BenchmarkToken(b *testing.B) { benchmark(b, "auth: {token: true}", bearer) }

func BenchmarkBasic(b *testing.B) {
	benchmark(b, "auth: {basic: {users: u}}", func(string) string { return basic("alice", "secret") })
}

func BenchmarkOpen(b *testing.B) {
	benchmark(b, "auth: {token: true, open: [/api/*]}", func(string) string { return "X: y" })
}

func BenchmarkNetworks(b *testing.B) {
	benchmark(b, "allow: [192.0.2.0/24]\ndeny: [192.0.2.66]", func(string) string { return "X: y" })
}

func BenchmarkRateLimit(b *testing.B) {
	benchmark(b, "rate_limit: {requests: 1000000, per: 1s}", func(string) string { return "X: y" })
}
