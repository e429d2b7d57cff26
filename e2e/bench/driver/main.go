//go:build e2e

// Command driver is the part of the benchmark that runs on the machine itself, so that entering the machine costs
// nothing that is measured. It prints one JSON object of named numbers for each round: seconds, and of proxies rates per
// second and bytes.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

func main() {
	var (
		rounds = flag.Int("rounds", 1, "cold, proxy, sandbox, standby: `NUMBER` of rounds")
		from   = flag.Int("from", 1, "deploy: first `NUMBER` of the functions to deploy")
		to     = flag.Int("to", 1, "crowd, deploy: last `NUMBER`")
	)
	flag.Parse()
	var err error
	switch flag.Arg(0) {
	case "cold":
		err = cold(*rounds, function{flag.Arg(1), flag.Arg(2)})
	case "crowd":
		err = crowd(*to)
	case "deploy":
		err = deploy(*from, *to)
	case "echo":
		err = echo(flag.Arg(1))
	case "idle":
		err = idle()
	case "proxy":
		err = proxyRounds(*rounds)
	case "sandbox":
		err = sandbox(*rounds, flag.Args()[1:])
	case "standby":
		err = standby(*rounds, function{flag.Arg(1), flag.Arg(2)})
	default:
		err = fmt.Errorf("there is no measurement %q", flag.Arg(0))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "driver: error:", err)
		os.Exit(1)
	}
}

// report prints the numbers of one round.
func report(numbers map[string]float64) error { return json.NewEncoder(os.Stdout).Encode(numbers) }
