package platform

import (
	"encoding/json"
	"math"
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

// Duration is a time.Duration whose text, also in JSON, is in whole seconds where it has no smaller part: "120s", "1.5s".
type Duration time.Duration

// Seconds returns the duration of a number of seconds, to the nanosecond. One that is too long is the longest there is.
func Seconds(s float64) Duration {
	if s >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	// Apart, so that a number which was made of a duration is that duration again.
	whole, fraction := math.Modf(s)
	return Duration(whole)*Duration(time.Second) + Duration(math.Round(fraction*float64(time.Second)))
}

// Seconds returns the duration as a number of seconds.
func (d Duration) Seconds() float64 { return time.Duration(d).Seconds() }

// String returns the duration as time.Duration writes it: 2m0s.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText writes the duration as jcloud.yml has it.
func (d Duration) MarshalText() ([]byte, error) {
	return []byte(keys.FormatDuration(time.Duration(d))), nil
}

// UnmarshalText reads what MarshalText writes, and all else that time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// seconds is a Duration that is a number of seconds in JSON.
type seconds Duration

func (s seconds) MarshalJSON() ([]byte, error) { return json.Marshal(Duration(s).Seconds()) }

func (s *seconds) UnmarshalJSON(data []byte) error {
	var number float64
	err := json.Unmarshal(data, &number)
	*s = seconds(Seconds(number))
	return err
}
