package gateway

import (
	"maps"
	"slices"

	"github.com/fnctl/fnctl/platform"
)

// A gateway hands over to another one on the same sockets, of the same or another version, and finishes what it has. The two
// keep a connection until then, over which they send each other, one JSON object after the other, what both need to know.
// Each skips what it does not know.
//
//	the successor:                                     the predecessor:
//	POST /handover on the status socket          →
//	                                             ←     101
//	a line, empty, or one that says allSockets   →
//	                                             ←     offer, with the sockets
//	                                             ←     loads, whenever they change
//	(reads the routes and finds the instances)
//	dismiss                                      →     stops accepting
//	                                             ←     loads, resigned, rates
//	(accepts)
//	gone, grants (Slots)                         →
//	                                             ←     loads
//	release: systemd knows the successor         →     may end
//	hurry (CloseIdle): this one has to end, too  →     closes idle connections, concludes streams
//
// The tunnels of the predecessor go to whoever serves, over a connection of their own (tunnellink.go).
//
// A predecessor that loses its successor looks for the next gateway, and goes on there after POST /predecessor.

const (
	pathHandover    = "/handover"
	pathPredecessor = "/predecessor"
	handoverName    = "fnctl-handover" // the protocol that a connection is upgraded to
)

// allSockets is how a successor begins that takes sockets of each kind. An earlier one takes those without TLS only.
const allSockets = '*'

// fromPredecessor is what a gateway sends to its successor.
type fromPredecessor struct {
	Offer *offer `json:"offer,omitempty"`
	Loads []load `json:"loads,omitempty"`
	// Acked is the number of the last departure that it has seen, too.
	Acked uint64 `json:"seen,omitempty"`
	// Resigned is true once it accepts nothing any more.
	Resigned bool `json:"resigned,omitempty"`
	// Rates are what senders have used of the limits of functions until then.
	Rates []rates `json:"rates,omitempty"`
}

// rates are when the senders of a function would be through, in nanoseconds of Unix, by the hexadecimal digits of a sender.
type rates struct {
	Function string           `json:"function"`
	Times    map[string]int64 `json:"times"`
}

// fromSuccessor is what a gateway sends to its predecessor.
type fromSuccessor struct {
	// Dismiss has it accept nothing any more.
	Dismiss bool `json:"dismiss,omitempty"`
	// Gone are the instances whose sockets are gone.
	Gone []departure `json:"gone,omitempty"`
	// Slots are lent to it.
	Slots []slot `json:"grants,omitempty"`
	// Release lets it end when it is done.
	Release bool `json:"release,omitempty"`
	// CloseIdle has it close the connections of clients that are idle, and end as soon as a gateway that is stopped.
	CloseIdle bool `json:"hurry,omitempty"`
}

// offer is how many sockets come with it: first those for clients, without TLS, over TLS, and redirecting, then those for the status.
type offer struct {
	HTTP        int `json:"http"`
	Secure      int `json:"secure,omitempty"`
	Redirecting int `json:"redirecting,omitempty"`
	Status      int `json:"status"`
}

// load is what a predecessor has left of one revision, what its own predecessors have left included.
type load struct {
	Revision  string      `json:"revision"`
	InFlight  int         `json:"in_flight"`
	Queued    int         `json:"queued"`
	Instances map[int]int `json:"instances,omitempty"` // requests that run, by index
	Unread    map[int]int `json:"unread,omitempty"`    // of these, what instances that have stopped reading have not read
	// Asks is how many of the queued requests need a slot each, and Granted how many slots it has got.
	Asks    int    `json:"asks,omitempty"`
	Granted uint64 `json:"granted,omitempty"`
	// Resting are the instances that get no request without being woken, by index.
	Resting []int `json:"resting,omitempty"`
}

func (l *load) isEmpty() bool {
	return l.InFlight == 0 && l.Queued == 0 && len(l.Instances) == 0 && len(l.Resting) == 0
}

func (l *load) equals(other load) bool {
	return l.InFlight == other.InFlight && l.Queued == other.Queued && l.Asks == other.Asks && l.Granted == other.Granted &&
		slices.Equal(l.Resting, other.Resting) && maps.Equal(l.Instances, other.Instances) && maps.Equal(l.Unread, other.Unread)
}

// departure is an instance whose socket is gone. The departures of a handover are numbered.
type departure struct {
	slot
	Number uint64 `json:"number"`
}

// slot lets a predecessor send one more request to an instance. Only one gateway can keep to a limit per instance: the last
// one lends.
type slot struct {
	Revision string `json:"revision"`
	Instance int    `json:"instance"`
}

func newSlot(id platform.InstanceID) slot {
	return slot{Revision: id.Revision.String(), Instance: id.Index}
}

func (s slot) id() (platform.InstanceID, error) {
	revision, err := platform.ParseRevisionID(s.Revision)
	return platform.InstanceID{Revision: revision, Index: s.Instance}, err
}
