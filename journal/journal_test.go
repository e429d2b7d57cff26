package journal_test

import (
	"path"
	"slices"
	"testing"

	"github.com/fnctl/fnctl/journal"
)

func TestUnitPatterns(t *testing.T) {
	for unit, want := range map[string]bool{
		"fn-ping-00001@1.service": true, "fn-ping-99999@12.service": true, "fn-ping-100000@1.service": true, "fn-ping-123456789@1.service": true,
		"fn-ping-00001-x-00001@1.service": false, "fn-ping-x-00001@1.service": false, "fn-pin-00001@1.service": false, "fn-ping-00001@1.socket": false,
	} {
		matches := slices.ContainsFunc(journal.UnitPatterns("ping"), func(pattern string) bool {
			is, err := path.Match(pattern, unit)
			return is && err == nil
		})
		if matches != want {
			t.Errorf("%s: %v", unit, matches)
		}
	}
}
