package cli

import (
	"flag"

	"github.com/fnctl/fnctl/platform"
)

// Update is for tests that compare what the code makes with files.
var Update = flag.Bool("update", false, "write what the code makes into testdata and docs")

// UseRoot makes another directory the root of the machine.
func UseRoot(root string) { machine = platform.Paths{Root: root} }
