package journal

import (
	"context"
	"io"

	"github.com/fnctl/fnctl/platform"
)

// numbersAtOnce is how many revisions one question to the journal is about.
const numbersAtOnce = 100

// Unlogged returns the number of a revision of which the journal has no line: that of rev, or the first after it that is known to have none.
// A journal that cannot be read has none of any.
func Unlogged(ctx context.Context, rev platform.RevisionID) int {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		logged := lastLogged(ctx, rev)
		if logged < rev.Number {
			return rev.Number
		}
		rev.Number = logged + 1
	}
}

// lastLogged returns the number of the revision that has the last line, of rev and those that follow it; 0 if none has any. Each revision
// begins with its first instance. Only what journald and systemd themselves say of a unit is asked for: an app can name any in its own lines.
func lastLogged(ctx context.Context, rev platform.RevisionID) (number int) {
	wrote, told := []string{}, []string{"+", "_PID=1"}
	for n := range numbersAtOnce {
		unit := platform.InstanceID{Revision: platform.RevisionID{Function: rev.Function, Number: rev.Number + n}, Index: 1}.Service()
		wrote, told = append(wrote, "_SYSTEMD_UNIT="+unit), append(told, "UNIT="+unit)
	}
	args := append([]string{"--quiet", "--lines=1"}, append(wrote, told...)...)
	_ = Read(ctx, io.Discard, args, func(entry struct {
		Wrote Text `json:"_SYSTEMD_UNIT"`
		Told  Text `json:"UNIT"`
	},
	) error {
		for _, unit := range []Text{entry.Wrote, entry.Told} {
			if id, _, ok := platform.ParseUnit(string(unit)); ok && id.Revision.Function == rev.Function {
				number = max(number, id.Revision.Number)
			}
		}
		return nil
	})
	return number
}
