package inspect

import (
	"time"

	"github.com/fnctl/fnctl/platform"
)

// Function is what "fnctl status NAME -o json" prints. Its fields are an interface that scripts use: they may
// become more, but none goes or changes.
type Function struct {
	Name        string     `json:"name"`
	Phase       Phase      `json:"phase"`
	Endpoint    string     `json:"endpoint"`
	Hosts       []string   `json:"hosts,omitempty"`
	Private     bool       `json:"private,omitempty"`
	App         string     `json:"app"`
	Framework   string     `json:"framework,omitempty"`
	Created     time.Time  `json:"created"`
	Labels      Labels     `json:"labels,omitempty"`
	BaseCredits float64    `json:"base_credits_per_hour"`
	Tags        []Tag      `json:"tags,omitempty"`
	Revisions   []Revision `json:"revisions"`
	Scale       Scale      `json:"scale"`
	// Disk is what it takes on the disk, if that can be seen; only "fnctl status" looks.
	Disk *Disk `json:"disk,omitempty"`
	// RecentFailures are those of instances that may be well by now; only "fnctl status" looks.
	RecentFailures *RecentFailures `json:"recent_failures,omitempty"`
	// Wakes are how often a request found no instance ready, if the gateway answers; only "fnctl status" asks.
	Wakes *Wakes `json:"wakes,omitempty"`
	// Unchanged reports that a deploy had nothing to change.
	Unchanged bool `json:"unchanged,omitempty"`
}

// Labels are those of jcloud.yml.
type Labels map[string]string

// Revision is one with traffic or instances.
type Revision struct {
	Name      string     `json:"name"`
	Traffic   int        `json:"traffic"`
	Instances []Instance `json:"instances"`
	// Scale is how a revision is scaled that has traffic or a tag: each by itself.
	Scale   *Scale   `json:"scale,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
}

// Failure is why no instance of a revision can start.
type Failure struct {
	Since  time.Time `json:"since"`
	Reason string    `json:"reason"`
}

// Instance is one that listens or runs.
type Instance struct {
	Name     string                 `json:"name"`
	Unit     string                 `json:"unit"`
	State    platform.InstanceState `json:"state"`
	PIDs     []int                  `json:"pids"`
	Memory   int64                  `json:"memory"`  // its working set in bytes; 0 if it has no process
	Swapped  int64                  `json:"swapped"` // what it has in swap besides, in bytes
	InFlight int                    `json:"in_flight"`
}

// Scale is how a revision is scaled. For a function with traffic on several revisions the numbers of instances are
// sums, and the metric is that of the newest.
type Scale struct {
	Metric  platform.Metric `json:"metric"`
	Target  float64         `json:"target"`
	Value   float64         `json:"value"`
	Ready   int             `json:"ready"`
	Desired int             `json:"desired"`
	Min     int             `json:"min"`
	Max     int             `json:"max"`
	Reason  string          `json:"reason,omitempty"`
}

// Phase is the state of a function as a whole, in the words of JCloud.
type Phase string

const (
	PhaseStarting Phase = "Starting"
	PhaseServing  Phase = "Serving"
	PhaseUpdating Phase = "Updating"
	PhaseFailed   Phase = "Failed"
	PhasePaused   Phase = "Paused"
)

// Count is how many instances are in a state.
func Count(instances []Instance, state platform.InstanceState) int {
	n := 0
	for _, i := range instances {
		if i.State == state {
			n++
		}
	}
	return n
}
