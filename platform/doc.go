// Package platform has the nouns of fnctl: functions, revisions, instances, routes, the configuration of a function
// (jcloud.yml), the settings of the platform (fnctl.yml), the tiers, and the store on disk that holds them. docs/ARCHITECTURE.md
// defines the words; those of this package are:
//
//   - A RevisionID and an InstanceID are names: ping-00001, ping-00001@3. A Revision and a Config are what is behind them.
//   - Timeouts and Limits are the bounds of a revision's requests, in jcloud.yml, in revision.json and in route.json.
//   - A Route splits the traffic of a function into TrafficShares. A Tag leads to one revision besides.
//   - A Scale overrides the bounds of autoscale until it is reset.
//   - A Failure is why a revision cannot start now; a FailedDeploy is why it did not come to serve when it was deployed.
//   - A Workdir is an instance's copy of the app; a Workspace is the persistent directory of a function.
//   - Paths makes the names of files. Store has the Paths, and reads and writes the files.
//   - A Follower keeps up with a directory.
//
// The tables of the keys of jcloud.yml and fnctl.yml are here; the engine that reads files by them is package keys. Checks
// (CheckName, Route.Check) return what is wrong, nil if nothing is.
//
// The package speaks neither HTTP nor D-Bus: the gateway reads it, the activator reads it, and the command line writes it.
package platform
