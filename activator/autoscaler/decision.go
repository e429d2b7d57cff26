package autoscaler

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Reason is the rule that settled a decision, as a word for a metric label.
type Reason string

// The reasons, in the order in which the rules apply: the last that changed the outcome is given.
const (
	ReasonStable     Reason = "stable"     // the stable window's average
	ReasonSurge      Reason = "surge"      // the panic window's average, or a burst, is above capacity
	ReasonUpRate     Reason = "up_rate"    // held down by MaxScaleUpRate
	ReasonDownRate   Reason = "down_rate"  // held up by MaxScaleDownRate
	ReasonActivation Reason = "activation" // held up by ActivationScale
	ReasonPanic      Reason = "panic"      // never shrinks in panic
	ReasonDelay      Reason = "delay"      // held up by ScaleDownDelay
	ReasonNoData     Reason = "no_data"    // keeps the last decision
	ReasonActive     Reason = "active"     // a request within ScaleToZeroAfter keeps one instance
	ReasonIdle       Reason = "idle"       // no request within ScaleToZeroAfter
	ReasonInitial    Reason = "initial"    // held up by InitialScale
	ReasonMin        Reason = "min"
	ReasonMax        Reason = "max"
)

// Decision is how many instances there should be, and why.
type Decision struct {
	Desired   int // instances, within Config.Min and Config.Max
	Unbounded int // the same before Min and Max
	// ExcessBurstCapacity is the room for a burst above Config.TargetBurstCapacity, in the unit of
	// the metric; negative if it is short.
	ExcessBurstCapacity int
	Valid               bool // false: there was no data and Desired is the last decision
	First               bool // there was no data yet
	Panicking           bool
	PanicUntil          time.Time // the earliest end of panic; zero if not panicking
	Reason              Reason
	// Settled is true if, while there is neither load nor activity and the configuration stays,
	// every further Decide gives the same: the caller may skip them.
	Settled bool

	Metric               Metric
	Stable, Panic, Burst float64 // the sample's values
	Target               float64 // per instance
	StableWindow         time.Duration
	PanicWindow          time.Duration
	// IdleFor is the time since the last activity; 0 if there never was any.
	IdleFor time.Duration
	// ByPanicValue is true if Unbounded follows from Panic or Burst, not from Stable.
	ByPanicValue bool
}

// Combine picks the decision for the most instances among those of one function's metrics, the first of equals.
// A metric without data takes part with its last decision, so it never shrinks the function. The
// result panics while any of them does, and is settled when all are.
func Combine(decisions ...Decision) Decision {
	if len(decisions) == 0 {
		return Decision{}
	}
	winner := decisions[0]
	panicking, until, settled := false, time.Time{}, true
	for _, d := range decisions {
		if d.Desired > winner.Desired {
			winner = d
		}
		panicking = panicking || d.Panicking
		settled = settled && d.Settled
		if d.PanicUntil.After(until) {
			until = d.PanicUntil
		}
	}
	winner.Panicking, winner.PanicUntil, winner.Settled = panicking, until, settled
	return winner
}

// Explanation describes the decision in words, such as "3 instances: 23.4 rps / 10 per instance over 60 s;
// none is stopped before 14:03:20".
func (d Decision) Explanation() string {
	var b strings.Builder
	b.WriteString(instances(d.Desired) + ": " + d.basis())
	if limit := d.limit(); limit != "" {
		b.WriteString("; " + limit)
	}
	if d.Panicking {
		b.WriteString("; none is stopped before " + d.PanicUntil.Format(time.TimeOnly))
	}
	return b.String()
}

// basis describes the value that the decision follows from.
func (d Decision) basis() string {
	switch {
	case d.First && d.Reason == ReasonNoData:
		return "nothing is measured yet, keeping what there is"
	case !d.Valid:
		return "no data, keeping the last decision"
	case d.Reason == ReasonNoData:
		return "no ready instance to measure, keeping the last decision"
	case d.Reason == ReasonIdle && d.IdleFor == 0:
		return "no request yet"
	case d.Reason == ReasonIdle:
		return "no request for " + d.IdleFor.Truncate(time.Second).String()
	}
	value, when := d.Stable, "over "+seconds(d.StableWindow)
	if d.ByPanicValue {
		value, when = d.Panic, "over "+seconds(d.PanicWindow)
		if d.Burst > d.Panic {
			value, when = d.Burst, "at this moment"
		}
	}
	total, each := d.Metric.units()
	return fmt.Sprintf("%s%s / %s%s per instance %s", number(value), total, number(d.Target), each, when)
}

// limit describes the rule that changed the number, "" if none did.
func (d Decision) limit() string {
	switch d.Reason {
	case ReasonUpRate:
		return "limited by the scale-up rate"
	case ReasonDownRate:
		return "limited by the scale-down rate"
	case ReasonActivation:
		return "activation scale"
	case ReasonDelay:
		return "fewer once scale_down_delay has passed"
	case ReasonActive:
		return "one stays until requests have ceased"
	case ReasonInitial:
		return "initial scale"
	case ReasonMin:
		return fmt.Sprintf("min, wants %d", d.Unbounded)
	case ReasonMax:
		return fmt.Sprintf("max, wants %d", d.Unbounded)
	default:
		return ""
	}
}

// units returns the words behind the function's value and behind the target.
func (m Metric) units() (total, each string) {
	switch m {
	case RPS:
		return " rps", ""
	case Concurrency:
		return " in flight", ""
	case CPU:
		return " % cpu", " %"
	case Memory:
		return " MiB", " MiB"
	default:
		return "", ""
	}
}

func instances(n int) string {
	if n == 1 {
		return "1 instance"
	}
	return strconv.Itoa(n) + " instances"
}

// number has at most one decimal, or two significant digits if that would be nothing.
func number(v float64) string {
	if v != 0 && v < 0.95 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}
