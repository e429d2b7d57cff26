package platform

import (
	"fmt"
	"path"
	"regexp"
)

// Isolation is how far an instance is confined.
type Isolation string

// The profiles. Strict costs a cold start more, and takes from apps what most of them don't need.
const (
	IsolationDefault Isolation = "default"
	IsolationStrict  Isolation = "strict"
)

// Network is what an instance can reach besides its own socket.
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

func checkDevice(device string) error {
	if !devicePattern.MatchString(device) || path.Clean(device) != device {
		return fmt.Errorf("must be the path of a device such as /dev/kvm, got %s", quoted(device))
	}
	return nil
}

// settleIsolation takes from an instance what the profile takes, unless a key gives it.
func (d configDecoder) settleIsolation() {
	c := &d.draft.Config
	strict := c.Isolation == IsolationStrict
	if !d.has("network") {
		c.Network = NetworkHost
		if strict {
			c.Network = NetworkNone
		}
	}
	if !d.has("executable_memory") {
		c.ExecutableMemory = !strict
	}
}

// isolationOfBefore is what a configuration means that was written before there were profiles.
func (c *Config) isolationOfBefore() {
	if c.Isolation == "" {
		c.Isolation, c.Network, c.ExecutableMemory = IsolationDefault, NetworkHost, true
	}
}
