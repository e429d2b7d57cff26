package keys_test

import (
	"testing"

	"github.com/fnctl/fnctl/platform/keys"
)

func TestParseSize(t *testing.T) {
	const pattern = "must be a size such as 1G, in K, KB, Ki, M, MB, Mi, G, GB or Gi"
	for _, c := range []struct {
		size keys.Size
		text string
		want int64
		err  string
	}{
		{keys.Size{Max: 1e9}, "60M", 60e6, ""},
		{keys.Size{Max: 1e12}, "24GB", 24e9, ""},
		{keys.Size{Max: 1e9}, "1.5Mi", 3 << 19, ""},
		{keys.Size{Max: 1e9, Zero: "none"}, "0", 0, ""},
		{keys.Size{Max: 1e9}, "0", 0, pattern + `, got "0"`},
		{keys.Size{Max: 1e9}, "60", 0, pattern + `, got "60"`},
		{keys.Size{Max: 1e9}, "-1M", 0, pattern + `, got "-1M"`},
		{keys.Size{Max: 1e9}, "1T", 0, pattern + `, got "1T"`},
		{keys.Size{Max: 1e9}, "2G", 0, `must be at most 1G, got "2G"`},
		{keys.Size{Min: 1 << 20, Max: 1e9}, "1K", 0, `must be at least 1Mi, got "1K"`},
	} {
		got, err := c.size.Parse(c.text)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%s: got %d, %v; want %d, %s", c.text, got, err, c.want, c.err)
		}
	}
}
