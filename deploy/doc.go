// Package deploy is the engine: from a directory to a revision with traffic, and back. It knows nothing of a terminal: it
// says what it does to a Progress, and returns what came of it.
//
// An Engine opens a function, which takes its lock (engine.go). All that changes the function is a method of Function.
//
// # A deploy
//
//	request.go       what is to be deployed, checked as far as it can be without changing anything
//	deployment.go    the steps, in their order:
//	  unchanged.go     is it what serves already?
//	  copy.go          the snapshot of the app, with its variables (envfiles.go) and secrets (secrets.go); leftout.go
//	  runtime.go       its packages (package build)
//	  route.go         its units
//	  launch.go        as many instances as the revision must have:
//	    start.go         each is started, watched, and proved by a health check (healthcheck.go); knownerrors.go
//	  newroute.go      the route with the revision; rollout.go moves the traffic step by step (outcomes.go, fisher.go)
//	giveup.go        what becomes of a revision that failed
//	sweep.go         at last, what is not needed any more goes (garbage.go, leftovers.go)
//
// Others change what is there: traffic.go, pause.go, restart.go, scale.go, variables.go, remove.go, adopt.go.
//
// # The way back
//
// Each change is a row of steps that can be taken back until the route is written (change.go). What is done registers how it
// is taken back; what the route needs that is there by then stays.
//
// # Words
//
//	change       what a command does to a function, under its lock
//	request      what is to be deployed
//	launch       to start the instances that a revision must have before it gets traffic
//	rollout      to move the traffic to a revision step by step
//	teardown     to stop instances, and remove units and files
//	adopt        to take over a function from a backup
//	leftovers    what is left of a function outside of its directory by commands that were killed
//	garbage      something of a function that is not needed; a sweep finds and removes it
package deploy
