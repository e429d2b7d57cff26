package certificates

import (
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/fnctl/fnctl/platform"
)

// statusFormat is the number of the form of the file of a Status.
const statusFormat = 1

// Status is what the service that makes certificates says of them. It is there once the service has run since the machine booted.
type Status struct {
	Format int `json:"format"`
	// Hosts are those that routes have, in the order in which they get certificates, and those whose certificate is kept though no
	// route has them any more.
	Hosts []HostStatus `json:"hosts"`
	// Paused is set while no authority is asked, because those that there are cannot be reached or limit how much is asked.
	Paused *Pause `json:"paused,omitempty"`
}

// Pause is a time in which no authority is asked.
type Pause struct {
	Until time.Time `json:"until"`
	Error string    `json:"error"`
}

// State is what a host has.
type State string

const (
	// StateIssued is a certificate that is valid.
	StateIssued State = "issued"
	// StatePending is none that is valid, which will be asked for, or is being asked for.
	StatePending State = "pending"
	// StateFailed is none that is valid, because an authority refused it, or because it cannot be asked.
	StateFailed State = "failed"
)

// HostStatus is what is known about the certificate of one host.
type HostStatus struct {
	// Host may be *.NAME.
	Host   string `json:"host"`
	State  State  `json:"state"`
	Origin Origin `json:"origin,omitempty"`
	// NotAfter is until when the certificate is valid, if there is one.
	NotAfter time.Time `json:"not_after,omitzero"`
	// RenewAt is when the next one is asked for.
	RenewAt time.Time `json:"renew_at,omitzero"`
	// Error is why the last attempt failed, one line; also that of a renewal, while the one before serves.
	Error string `json:"error,omitempty"`
	// NextTry is when it is tried again.
	NextTry time.Time `json:"next_try,omitzero"`
	// Failures are the attempts in a row that failed.
	Failures int `json:"failures,omitempty"`
	// RemoveAt is when the certificate goes, of a host that no route has any more.
	RemoveAt time.Time `json:"remove_at,omitzero"`
}

// Of returns the status of a host, and whether it has one.
func (s Status) Of(host string) (HostStatus, bool) {
	for _, h := range s.Hosts {
		if h.Host == host {
			return h, true
		}
	}
	return HostStatus{}, false
}

// statusFile is the file of a status.
func (c Challenges) statusFile() string { return filepath.Join(c.Dir, "status.json") }

// ReadStatus reads the status of a machine. The error wraps fs.ErrNotExist if the service has not run, and platform.ErrNewer if a later
// version wrote it.
func ReadStatus(paths platform.Paths) (Status, error) {
	var s Status
	if err := platform.ReadFormed(ChallengesOf(paths).statusFile(), statusFormat, &s); err != nil {
		return Status{}, err
	}
	return s, nil
}

// WriteStatus replaces the status of a machine, for everybody to read.
func WriteStatus(paths platform.Paths, s Status) error {
	s.Format = statusFormat
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return platform.WriteFile(ChallengesOf(paths).statusFile(), append(data, '\n'), 0o644)
}

// RootFile is the certificate of the machine's own authority, in PEM, for everybody to read. It is there once a host needed it.
func RootFile(paths platform.Paths) string {
	return filepath.Join(paths.Root, "/var/lib/fnctl/authority/root.crt")
}
