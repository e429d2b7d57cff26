package gateway

import (
	"github.com/fnctl/fnctl/platform"
)

// A gateway hands over to another one on the same sockets, of the same or another version, and finishes what it has. The two
// keep a connection until then, over which they tell each other, one JSON object after the other, what both need to know.
// What one of them does not know, it skips.
//
//	the successor:                                     the predecessor:
//	POST /handover on the status socket          →
//	                                             ←     101
//	an empty line                                →
//	                                             ←     offer, with the sockets
//	                                             ←     loads, whenever they change
//	(reads the routes and finds the instances)
//	dismiss                                      →     stops accepting
//	                                             ←     loads, resigned
//	(accepts)
//	gone, grants                                 →
//	                                             ←     loads
//	release: systemd knows the successor         →     may end
//	hurry: this one has to end, too              →     closes idle connections
//
// A predecessor that loses its successor looks for the next gateway, and goes on there after POST /predecessor.

const (
	pathHandover    = "/handover"
	pathPredecessor = "/predecessor"
	handoverName    = "fnctl-handover" // the protocol that a connection is upgraded to
)

// fromPredecessor is what a gateway tells its successor.
type fromPredecessor struct {
	Offer *offer `json:"offer,omitempty"`
	Loads []load `json:"loads,omitempty"`
	// Seen is the number of the last departure that it has seen, too.
	Seen uint64 `json:"seen,omitempty"`
	// Resigned says that it accepts nothing any more.
	Resigned bool `json:"resigned,omitempty"`
}

// fromSuccessor is what a gateway tells its predecessor.
type fromSuccessor struct {
	Dismiss bool        `json:"dismiss,omitempty"`
	Gone    []departure `json:"gone,omitempty"`
	Grants  []grantOf   `json:"grants,omitempty"`
	Release bool        `json:"release,omitempty"`
	Hurry   bool        `json:"hurry,omitempty"`
}

// offer says how many sockets come with it: first those for clients, then those for the status.
type offer struct {
	HTTP   int `json:"http"`
	Status int `json:"status"`
}

// load is what a predecessor has left of one revision, what its own predecessors have left included.
type load struct {
	Revision  string      `json:"revision"`
	InFlight  int         `json:"in_flight"`
	Queued    int         `json:"queued"`
	Instances map[int]int `json:"instances,omitempty"` // requests that run, by index
	// Asks is how many of the queued requests need a grant each, and Granted how many have had one.
	Asks    int    `json:"asks,omitempty"`
	Granted uint64 `json:"granted,omitempty"`
}

// departure is an instance whose socket is gone. They are numbered.
type departure struct {
	grantOf
	Number uint64 `json:"number"`
}

// grantOf allows a predecessor to send one more request to an instance. Only one of them can keep to a limit per instance:
// the last one.
type grantOf struct {
	Revision string `json:"revision"`
	Instance int    `json:"instance"`
}

func (g grantOf) id() (platform.InstanceID, error) {
	revision, err := platform.ParseRevisionID(g.Revision)
	return platform.InstanceID{Revision: revision, Index: g.Instance}, err
}
