package acme

import (
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// stateFormat is the number of the form of the file of a state.
const stateFormat = 1

// state is what survives the service.
type state struct {
	Format int `json:"format"`
	// Hosts are those that have, or are to have, a certificate.
	Hosts map[string]*saved `json:"hosts"`
	// Authorities are known by the address of their directory.
	Authorities map[string]*authorityState `json:"authorities,omitempty"`
}

// saved is what is known of a host besides its certificate.
type saved struct {
	// Failures are the attempts in a row that failed, with one that is under way.
	Failures int `json:"failures,omitempty"`
	// NextTry is when it is tried again after a failure.
	NextTry time.Time `json:"next_try,omitzero"`
	// Error is why the last attempt failed.
	Error string `json:"error,omitempty"`
	// Settled is from when on a certificate that was just made may be renewed, should an authority, or a clock, say that it is due.
	Settled time.Time `json:"settled,omitzero"`
	// Unwanted is since when no route has the host.
	Unwanted time.Time `json:"unwanted,omitzero"`
	// Directory is the authority that made the certificate, and Challenge how it was shown whose the host is.
	Directory string `json:"directory,omitempty"`
	Challenge string `json:"challenge,omitempty"`
	// Renewal is what the authority says about the certificate.
	Renewal renewal `json:"renewal,omitzero"`
}

// authorityState is what is known of an authority.
type authorityState struct {
	// Failures are the times in a row that it could not be reached, or limited what is asked.
	Failures int `json:"failures,omitempty"`
	// Until is when it is asked again after that.
	Until time.Time `json:"until,omitzero"`
	Error string    `json:"error,omitempty"`
	// Budget bounds how many orders are made.
	Budget budget `json:"budget,omitzero"`
}

// readState reads a state. One that is damaged is lost: certificates are renewed all the same. One that a later version wrote is refused.
func readState(file string, log *slog.Logger) (*state, error) {
	empty := func() *state {
		return &state{Hosts: map[string]*saved{}, Authorities: map[string]*authorityState{}}
	}
	s := empty()
	err := readFormed(file, stateFormat, s)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return empty(), nil
	case errors.Is(err, platform.ErrNewer):
		return nil, err
	case err != nil:
		log.Error("what is known of earlier attempts is lost", "err", err)
		return empty(), nil
	}
	maps.DeleteFunc(s.Hosts, func(_ string, known *saved) bool { return known == nil })
	maps.DeleteFunc(s.Authorities, func(_ string, known *authorityState) bool { return known == nil })
	return s, nil
}

// write replaces the file of a state.
func (s *state) write(file string) error {
	s.Format = stateFormat
	return writeFormed(file, s)
}
