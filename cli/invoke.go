package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/platform"
	"github.com/fnctl/fnctl/visitor"
)

func invokeCommand() *cli.Command {
	return &cli.Command{
		Name:      "invoke",
		Usage:     "send a request to a function through the gateway, and print the answer",
		UsageText: "invoke NAME [PATH] [-X METHOD] [-d DATA] [-H HEADER] [-v]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "method", Aliases: []string{"X"}, Usage: "HTTP `METHOD` (default: GET, or POST with --data)"},
			&cli.StringFlag{Name: "data", Aliases: []string{"d"}, Usage: "body of the request; `DATA` @FILE reads a file, @- standard input"},
			&cli.StringSliceFlag{Name: "header", Aliases: []string{"H"}, Usage: "`HEADER` as \"Name: value\"; may be repeated"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "print status, headers and time to stderr"},
			&cli.BoolFlag{Name: "fail", Usage: "exit with 1 if the status is 400 or higher"},
		},
		BashComplete: completeFunctions,
		Action:       invoke,
	}
}

func invoke(c *cli.Context) error {
	if c.NArg() < 1 || c.NArg() > 2 {
		return platform.UsageError(errors.New("invoke takes NAME and at most one PATH"))
	}
	name, path := c.Args().Get(0), c.Args().Get(1)
	if err := checkDeployed(name); err != nil {
		return err
	}
	settings, err := platform.LoadSettings(paths())
	if err != nil {
		return err
	}
	asks, err := visitor.Of(settings, name, nil)
	if err != nil {
		return err
	}
	req, err := invokeRequest(c, asks, path)
	if err != nil {
		return err
	}
	transport, err := invokeTransport(c.Context, name)
	if err != nil {
		return err
	}
	started := time.Now()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return explainRefused(err)
	}
	defer resp.Body.Close()
	if c.Bool("verbose") {
		fmt.Fprintf(c.App.ErrWriter, "%s %s (%d ms)\n", resp.Proto, resp.Status, time.Since(started).Milliseconds())
		var header strings.Builder
		if err := resp.Header.Write(&header); err != nil {
			return err
		}
		fmt.Fprint(c.App.ErrWriter, strings.ReplaceAll(header.String(), "\r\n", "\n"))
		fmt.Fprintln(c.App.ErrWriter)
	}
	if _, err := io.Copy(raw(c.App.Writer), resp.Body); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if c.Bool("fail") && resp.StatusCode >= 400 {
		return fmt.Errorf("%s answered %s", name, resp.Status)
	}
	return nil
}

func invokeRequest(c *cli.Context, asks visitor.Visitor, path string) (*http.Request, error) {
	body, err := invokeBody(c.String("data"))
	if err != nil {
		return nil, err
	}
	method := c.String("method")
	if method == "" {
		method = http.MethodGet
		if c.IsSet("data") {
			method = http.MethodPost
		}
	}
	req, err := asks.Request(c.Context, method, "/"+strings.TrimPrefix(path, "/"), body)
	if err != nil {
		return nil, platform.UsageError(fmt.Errorf("PATH %q: %w", path, err))
	}
	req.Header.Set("User-Agent", "fnctl/"+Version())
	headers := http.Header{}
	for _, header := range c.StringSlice("header") {
		key, value, found := strings.Cut(header, ":")
		if !found {
			return nil, platform.UsageError(fmt.Errorf("--header %q is not \"Name: value\"", header))
		}
		value = strings.TrimSpace(value)
		if strings.EqualFold(key, "Host") {
			req.Host = value
			req.Header.Set("X-Forwarded-Host", value)
		}
		headers.Add(key, value)
	}
	maps.Copy(req.Header, headers) // what is given takes the place of what would be said
	return req, nil
}

func invokeBody(data string) (io.Reader, error) {
	file, isFile := strings.CutPrefix(data, "@")
	switch {
	case !isFile:
		return strings.NewReader(data), nil
	case file == "-":
		return os.Stdin, nil
	}
	return os.Open(file)
}

// anyInstance is an instance of a revision with traffic.
func anyInstance(route platform.Route) (platform.InstanceID, error) {
	ids, err := store().Instances()
	if err != nil {
		return platform.InstanceID{}, err
	}
	for _, id := range ids {
		if route.PercentOf(id.Revision) > 0 {
			return id, nil
		}
	}
	return platform.InstanceID{}, platform.WithHint(fmt.Errorf("%s has no instance", route.Function), "systemctl status fnctl-activator")
}

func protocolOf(route platform.Route, id platform.RevisionID) platform.Protocol {
	for _, share := range route.Traffic {
		if share.Revision == id {
			return share.Protocol
		}
	}
	return platform.HTTP1
}

func explainRefused(err error) error {
	err = fmt.Errorf("reach the function: %w", err)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return platform.WithHint(err, "systemctl status fnctl-gateway.socket fnctl-gateway.service")
	}
	return err
}
