// Command fnctl is a serverless function platform for one Linux machine, on systemd.
package main

import (
	"os"

	"github.com/fnctl/fnctl/cli"
)

func main() { os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr)) }
