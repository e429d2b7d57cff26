// Package backup writes functions into one encrypted file, and takes them from there.
package backup

import (
	"time"
)

// format is what this version writes. One that it doesn't know is refused.
const format = 1

// The members of a backup: its description, which is the first, the settings of the machine that it was made on, and the
// directories of functions and of their data.
const (
	manifestMember  = "fnctl-backup.json"
	settingsMember  = "fnctl.yml"
	functionsMember = "functions"
	dataMember      = "data"
)

// Manifest says what is in a backup.
type Manifest struct {
	Format    int       `json:"format"`
	Version   string    `json:"version"`
	Created   time.Time `json:"created"`
	Functions []string  `json:"functions"`
	Data      bool      `json:"data"`
}
