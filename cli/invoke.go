package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/fnctl/fnctl/deploy"
	"github.com/fnctl/fnctl/platform"
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
	req, err := invokeRequest(c, settings.EndpointOf(name), path)
	if err != nil {
		return err
	}
	started := time.Now()
	client, err := invokeClient(name)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
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

func invokeRequest(c *cli.Context, endpoint, path string) (*http.Request, error) {
	target, err := url.Parse(endpoint + "/" + strings.TrimPrefix(path, "/"))
	if err != nil {
		return nil, platform.UsageError(fmt.Errorf("PATH %q: %w", path, err))
	}
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
	req, err := http.NewRequestWithContext(c.Context, method, target.String(), body)
	if err != nil {
		return nil, platform.UsageError(err)
	}
	req.Header.Set("User-Agent", "fnctl/"+Version())
	for _, header := range c.StringSlice("header") {
		key, value, found := strings.Cut(header, ":")
		if !found {
			return nil, platform.UsageError(fmt.Errorf("--header %q is not \"Name: value\"", header))
		}
		req.Header.Add(key, strings.TrimSpace(value))
	}
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

// invokeClient connects to the gateway, or for a private function, which the gateway doesn't serve, to an instance.
func invokeClient(name string) (*http.Client, error) {
	route, err := store().Route(name)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: dialGateway}
	if route.Private {
		if route.Paused {
			return nil, deploy.PausedError(name)
		}
		id, err := anyInstance(route)
		if err != nil {
			return nil, err
		}
		transport.DialContext = platform.DialUnix(paths().InstanceSocket(id))
		transport.Protocols = deploy.ProtocolsOf(protocolOf(route, id.Revision))
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     transport,
	}, nil
}

// dialGateway resolves the names below localhost itself (RFC 6761, section 6.3): not every resolver does.
func dialGateway(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err == nil && strings.HasSuffix(host, ".localhost") {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
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
