package platform

import (
	"fmt"
	"path"
	"regexp"

	"github.com/fnctl/fnctl/platform/keys"
)

// Isolation is how far an instance is confined.
type Isolation string

// The profiles. Strict costs a cold start more, and takes from apps what most of them don't need.
const (
	IsolationDefault Isolation = "default"
	IsolationStrict  Isolation = "strict"
)

// Network is the network that an instance can reach besides its own socket.
type Network string

// The networks.
const (
	// NetworkHost is the network of the machine.
	NetworkHost Network = "host"
	// NetworkNone is a loopback of its own.
	NetworkNone Network = "none"
)

// devicePattern matches a path that means itself in a unit.
var devicePattern = regexp.MustCompile(`^/dev/[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$`)

// devicePaths is the kind of devices.
var devicePaths = keys.List[string]{Of: keys.Text[string]{
	Parse: keys.Checked(checkDevice), Pattern: devicePattern.String(), What: "the path of a device",
}}

func checkDevice(device string) error {
	if !devicePattern.MatchString(device) || path.Clean(device) != device {
		return fmt.Errorf("must be the path of a device such as /dev/kvm, got %s", keys.Quote(device))
	}
	return nil
}
