package cli

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
)

// filterCheckCommand is what fnctl-internet.service starts.
func filterCheckCommand() *cli.Command {
	return &cli.Command{
		Name:        "filter-check",
		Hidden:      true,
		Usage:       "see that one address of this machine can be sent to, and another cannot",
		UsageText:   "filter-check ALLOWED DENIED",
		Description: "fnctl-internet.service starts it, with a filter of systemd's.",
		Action:      checkFilter,
	}
}

func checkFilter(c *cli.Context) error {
	if c.NArg() != 2 {
		return platform.UsageError(errors.New("filter-check takes ALLOWED and DENIED"))
	}
	allowed, denied := c.Args().Get(0), c.Args().Get(1)
	if err := sendTo(allowed); err != nil {
		return fmt.Errorf("send to %s, which is allowed: %w", allowed, err)
	}
	switch err := sendTo(denied); {
	case err == nil:
		return fmt.Errorf("%s can be sent to, which is denied: IPAddressDeny= has no effect here", denied)
	case !errors.Is(err, syscall.EPERM):
		return fmt.Errorf("send to %s, which is denied: %w", denied, err)
	}
	return nil
}

// sendTo sends a datagram to an address where nobody need listen.
func sendTo(address string) error {
	const discard = "9"
	conn, err := new(net.Dialer).Dial("udp", net.JoinHostPort(address, discard))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte{0})
	return err
}
