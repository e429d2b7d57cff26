package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/platform/keys"
)

// formerFlags are flags of fastapi-serve, which deployed to Jina AI Cloud, with what is done instead.
var formerFlags = map[string]string{
	"app-id":     "a function is known by its name: --name",
	"cors":       "cors: {origins: '*'} in jcloud.yml, or the app's own rules, such as FastAPI's CORSMiddleware",
	"no-cors":    "leave it out: it is off without cors in jcloud.yml",
	"envs":       "--env FILE",
	"secrets":    "--secret FILE",
	"image-name": "leave it out: there are no images",
	"platform":   "leave it out: it is this machine's",
	"public":     "leave it out: every function is, unless expose: false in jcloud.yml",
	"uses":       "leave it out: the app's directory is deployed as it is",
	"version":    "leave it out: requirements.txt names the packages",
}

// onUsageError says which flag was probably meant.
func onUsageError(c *cli.Context, err error, _ bool) error {
	usage := platform.UsageError(err)
	given, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return usage
	}
	given = strings.TrimLeft(given, "-")
	var names []string
	for _, f := range c.Command.Flags {
		names = append(names, f.Names()...)
	}
	usage = platform.UsageError(fmt.Errorf("%s has no flag --%s", c.Command.Name, platform.Clip(given)))
	former := strings.ReplaceAll(given, "_", "-")
	if instead := formerFlags[former]; instead != "" && c.Command.Name == "deploy" {
		return platform.WithHint(usage, "%s", instead)
	}
	if nearest := keys.Nearest(given, names); nearest != "" {
		return platform.WithHint(usage, "did you mean --%s?", nearest)
	}
	if c.Command.Name == c.App.Name {
		return platform.WithHint(usage, "\"fnctl help\" lists the commands")
	}
	return platform.WithHint(usage, "\"fnctl %s --help\" lists its flags", c.Command.Name)
}
