package cli

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
)

func rolloutFlag() cli.Flag {
	return &cli.DurationFlag{
		Name: "rollout", Usage: "move the traffic in steps over `TIME`, such as 60s, and go back if more requests fail than before",
		Action: func(_ *cli.Context, d time.Duration) error {
			if d < deploy.MinRollout || d > deploy.MaxRollout {
				return platform.UsageError(fmt.Errorf("--rollout is from %s to %s, not %s", deploy.MinRollout, deploy.MaxRollout, d))
			}
			return nil
		},
	}
}
