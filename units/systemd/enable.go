package systemd

import (
	"context"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Restart stops a unit if it runs, and starts it, together with what it wants. The error wraps ErrJob if systemd could not.
func (m *Manager) Restart(ctx context.Context, unit string) error {
	return m.job(ctx, "restart", unit, (*dbus.Conn).RestartUnitContext)
}

// Enable has units started at boot, or with what they are for, and systemd take note of it.
func (m *Manager) Enable(ctx context.Context, units ...string) error {
	conn, err := m.connection()
	if err != nil {
		return err
	}
	if _, _, err := conn.EnableUnitFilesContext(ctx, units, false, false); err != nil {
		return fmt.Errorf("enable %v: %w", units, err)
	}
	return conn.ReloadContext(ctx)
}

// Disable ends that.
func (m *Manager) Disable(ctx context.Context, units ...string) error {
	conn, err := m.connection()
	if err != nil {
		return err
	}
	if _, err := conn.DisableUnitFilesContext(ctx, units, false); err != nil {
		return fmt.Errorf("disable %v: %w", units, err)
	}
	return conn.ReloadContext(ctx)
}
