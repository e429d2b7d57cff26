package platform

import (
	"errors"
	"fmt"
	"io/fs"
)

// Scale overrides the bounds of a function's autoscale, in every revision, until it is reset. A bound that is nil stays
// as jcloud.yml has it.
type Scale struct {
	Min *int `json:"min,omitempty"`
	Max *int `json:"max,omitempty"`
}

// Empty reports whether nothing is overridden.
func (s Scale) Empty() bool { return s.Min == nil && s.Max == nil }

// Check returns what is wrong with the override by itself, nil if nothing is. The ranges are those of jcloud.yml.
func (s Scale) Check() error {
	switch {
	case s.Min != nil && !minimums.Contains(*s.Min):
		return fmt.Errorf("min must be %s, got %d", minimums.Describe(), *s.Min)
	case s.Max != nil && !maximums.Contains(*s.Max):
		return fmt.Errorf("max must be %s, got %d", maximums.Describe(), *s.Max)
	case s.Min != nil && s.Max != nil && *s.Min > *s.Max:
		return fmt.Errorf("min must be at most max, which is %d, got %d", *s.Max, *s.Min)
	}
	return nil
}

// CheckFor returns what is wrong with the override for a revision of this configuration, nil if nothing is: a bound that is
// overridden must not contradict the one that is not.
func (s Scale) CheckFor(config Config) error {
	if err := s.Check(); err != nil {
		return err
	}
	auto := config.Autoscale
	switch {
	case auto.Single && (s.Min != nil && *s.Min > 1 || s.Max != nil && *s.Max > 1):
		return errors.New("there is one instance at most: overlap: false in jcloud.yml")
	case s.Min != nil && s.Max == nil && *s.Min > auto.Max:
		return fmt.Errorf("min must be at most max, which is %d, got %d", auto.Max, *s.Min)
	case s.Max != nil && s.Min == nil && *s.Max < auto.Min:
		return fmt.Errorf("max must be at least min, which is %d, got %d", auto.Min, *s.Max)
	case s.Max != nil && *s.Max < config.MinAvailable:
		return fmt.Errorf("max must be at least minAvailable, which is %d, got %d", config.MinAvailable, *s.Max)
	}
	return nil
}

// Apply returns the autoscale with the bounds overridden. Where a deploy has made an override contradict the bound that
// is not overridden, the override wins, so that min is never above max. A single instance stays single.
func (s Scale) Apply(a Autoscale) Autoscale {
	if s.Min != nil {
		a.Min = *s.Min
		a.Max = max(a.Max, a.Min)
	}
	if s.Max != nil {
		a.Max = *s.Max
		a.Min = min(a.Min, a.Max)
	}
	if a.Single {
		a.Min, a.Max = min(a.Min, 1), 1
	}
	return a
}

// Scale reads the override of a function; it is empty if there is none.
func (s Store) Scale(name string) (Scale, error) {
	var scale Scale
	if err := CheckName(name); err != nil {
		return scale, err
	}
	err := ReadFormed(s.Paths.Scale(name), format, &scale)
	if errors.Is(err, fs.ErrNotExist) {
		return Scale{}, nil
	}
	if err == nil {
		err = scale.Check()
	}
	if err != nil {
		return Scale{}, fmt.Errorf("scale of %s: %w", name, err)
	}
	return scale, nil
}

// PutScale replaces the override of a function. An empty one is removed.
func (s Store) PutScale(name string, scale Scale) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if err := scale.Check(); err != nil {
		return fmt.Errorf("scale of %s: %w", name, err)
	}
	if _, err := s.Scale(name); errors.Is(err, ErrNewer) {
		return err
	}
	if !scale.Empty() {
		return writeJSON(s.Paths.Scale(name), scaleFile{header{format}, scale}, 0o644)
	}
	if err := removeFile(s.Paths.Scale(name)); err != nil {
		return fmt.Errorf("scale of %s: %w", name, err)
	}
	return nil
}
