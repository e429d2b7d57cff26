package systemd

import (
	"context"
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Version is the version of PID 1, as systemd writes it: 252.39-1~deb12u1.
func (m *Manager) Version(ctx context.Context) (string, error) {
	conn, err := m.connection()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	text, err := managerProperty(ctx, conn, "Version")
	if err != nil {
		return "", fmt.Errorf("ask systemd for its version: %w", err)
	}
	return strings.Trim(text, `"`), nil // it comes in D-Bus' text format
}

// managerProperty gives go-systemd's call a bound, which has none: one that is given up ends with the connection.
func managerProperty(ctx context.Context, conn *dbus.Conn, name string) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := conn.GetManagerProperty(name)
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		return a.text, a.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
