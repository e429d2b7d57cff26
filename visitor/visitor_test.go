package visitor_test

import (
	"testing"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/visitor"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		hosts    []string
		want     visitor.Visitor
	}{
		{"http://{name}.localhost:8080", nil, visitor.Visitor{Host: "shop.localhost:8080", Scheme: "http"}},
		{"https://{name}.example.com", nil, visitor.Visitor{Host: "shop.example.com", Scheme: "https"}},
		{"https://{name}.example.com", []string{"shop.example.org", "other.example.org"}, visitor.Visitor{Host: "shop.example.org", Scheme: "https"}},
		{"https://{name}.example.com", []string{"*", "*.example.org", "www.example.org/shop"}, visitor.Visitor{Host: "shop.example.com", Scheme: "https"}},
		{"https://{name}.example.com", []string{"*.example.org", "shop.example.org"}, visitor.Visitor{Host: "shop.example.org", Scheme: "https"}},
		{"http://{name}.localhost:8080", []string{"shop.example.org"}, visitor.Visitor{Host: "shop.example.org:8080", Scheme: "http"}},
	} {
		got, err := visitor.Of(platform.Settings{Endpoint: c.endpoint}, "shop", c.hosts)
		if err != nil || got != c.want {
			t.Errorf("%s %v: got %+v, %v", c.endpoint, c.hosts, got, err)
		}
	}
}
