// Package activator is the control loop: it observes the load, decides how many instances each revision should have, and
// starts and stops them. It is never in the path of a request, and keeps no state that it could not learn again.
//
// # The loop
//
//	observe   units.go, scrape.go, platform.Follow,  changes of units, the load, changes of routes,
//	   │      pressure.go                            memory pressure
//	   ▼ channels
//	loop      loop.go                                receives every event; at each report of the load:
//	   │
//	   ├─ know     world.go       ─► routes.go, revision.go, instance.go, history.go
//	   ├─ measure  revision.go    ─► gauge.go, usage.go (control groups), queries.go (PromQL)
//	   ├─ decide   revision.go    ─► gauge.go ─► autoscaler: the number of instances that is desired
//	   ├─ compare  reconcile.go   ─► replace.go, probe.go (what is wrong with an instance), host.go (room for more)
//	   ├─ act      actor.go       starts, probes, drains and stops one instance; its end is the next event
//	   ├─ keep     keeper.go      which of what sleeps (standby.go) is worth its memory, and which goes to swap (swap.go)
//	   ├─ diagnose failurenotice.go ─► diagnosis.go: why a revision cannot start, for the gateway and for people
//	   └─ tell     status.go, metrics.go, activator.go (HTTP)
//
// A revision is looked at in a tick only while it is awake: an event has concerned it, and it has not settled since. A
// settled one sleeps and costs nothing but its memory.
//
// Beside the loop, gatewaysocket.go repairs the gateway's own socket and appmetrics.go publishes the metrics of apps.
//
// # The parts
//
//   - world is what the activator knows. It reads files and takes over what systemd and the gateway report; it changes nothing.
//   - actor is what the activator does to instances. It knows which actions are under way, and nothing else.
//   - reconciler compares the two for one revision, and has the actor do the next step. It has no state.
//   - Activator connects them: it has the loop.
//
// # Goroutines and locks
//
// Run starts and joins all goroutines; they end with its context.
//
//   - One goroutine, the loop, owns all state that decisions depend on: the world with its revisions, instances and gauges,
//     the actor's books, the host's reservations, the failure notices. So none of it has a lock.
//   - Those that observe (unitWatcher, scraper, pressureWatcher, the follower of functions) own nothing but their source, and send to the loop.
//     Its changes of units are buffered, its other events are not: a slow tick delays them and loses none. A poke that comes
//     while one is pending is dropped, and so is a notice of memory pressure.
//   - Each action, diagnosis and query, and each listing of units, runs in a short-lived goroutine with a deadline. It gets
//     values and no pointers to the loop's state, except that an answer names its gauge, and sends its result to the loop.
//   - statusCache.mu guards the statuses, which the loop writes and HTTP handlers read. AppMetrics has an atomic page and a
//     mutex for what it has logged. Neither is held while another is taken, nor across I/O except the log's.
//
// # Words
//
//	armed      the socket listens and no service runs: the first connection starts it
//	probe      connect, write one byte, and wait until it is read (platform.Probe)
//	proved     the instance has accepted a probe since its service was started
//	ready      proved, and its socket listens
//	deaf       the instance runs and leaves unread what the gateway sends to it
//	stuck      a revision whose last start failed while no other instance can become ready
//	desired    how many instances the autoscaler decided for
//	refused    instances that are desired and for which the host has no memory
//	replace    arm another instance with a new socket and a new copy of the app, then drain this one
//	notice     the file that says why a revision cannot start
//	awake      updated in the next tick; the opposite is asleep
//	reason     the rule behind a decision; an explanation is the same in words
package activator
