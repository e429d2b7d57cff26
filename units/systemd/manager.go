// Package systemd starts, stops, lists and inspects units over D-Bus. It is the only importer of go-systemd's dbus.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	"golang.org/x/sys/unix"

	"github.com/fnctl/fnctl/platform"
)

// ErrJob is wrapped by errors about a job that systemd ended without success.
var ErrJob = errors.New("job ended without success")

// callTimeout bounds every question to PID 1 that has no bound of its own; a daemon-reload with thousands of units may
// hold up an answer for seconds.
const callTimeout = 30 * time.Second

// Manager talks to PID 1. It connects when it is first used and again after PID 1 has closed the connection, as it does
// when it re-executes itself. Its methods may be called at the same time.
type Manager struct {
	mu   sync.Mutex
	conn *dbus.Conn
}

// connection returns a working connection.
func (m *Manager) connection() (*dbus.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil && m.conn.Connected() {
		return m.conn, nil
	}
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
	// The connection lives as long as the manager, so no caller's context may end it.
	ctx := context.Background()
	dial, way := dbus.NewSystemConnectionContext, "over the system bus (dbus), which only root can do without"
	if os.Geteuid() == 0 {
		// The private socket needs no D-Bus daemon, and systemd sends signals there without being asked to.
		dial, way = dbus.NewSystemdConnectionContext, "on its private socket"
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to systemd %s: %w", way, err)
	}
	m.conn = conn
	return conn, nil
}

// Close ends the connection.
func (m *Manager) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		m.conn.Close()
		m.conn = nil
	}
}

type jobMethod func(*dbus.Conn, context.Context, string, string, chan<- string) (int, error)

// Start starts a unit and waits until systemd has done so. The error wraps ErrJob if systemd could not.
func (m *Manager) Start(ctx context.Context, unit string) error {
	return m.job(ctx, "start", unit, (*dbus.Conn).StartUnitContext)
}

// Stop stops a unit and waits until nothing of it runs. The error wraps ErrJob if systemd could not.
func (m *Manager) Stop(ctx context.Context, unit string) error {
	return m.job(ctx, "stop", unit, (*dbus.Conn).StopUnitContext)
}

func (m *Manager) job(ctx context.Context, verb, unit string, method jobMethod) error {
	conn, err := m.connection()
	if err != nil {
		return err
	}
	// Buffered: the library's dispatcher blocks on this channel, and we may have stopped listening.
	done := make(chan string, 1)
	switch _, err := method(conn, ctx, unit, "replace", done); {
	case isNoSuchUnit(err) && verb == "stop":
		return nil // there is nothing to stop
	case err != nil:
		return fmt.Errorf("%s %s: %w", verb, unit, err)
	}
	lost := time.NewTicker(time.Second)
	defer lost.Stop()
	for {
		select {
		case result := <-done:
			if result != "done" && result != "skipped" {
				return fmt.Errorf("%s %s: %w: %s", verb, unit, ErrJob, result)
			}
			return nil
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w", verb, unit, context.Cause(ctx))
		case <-lost.C:
			if !conn.Connected() {
				return fmt.Errorf("%s %s: lost the connection to systemd", verb, unit)
			}
		}
	}
}

// Kill ends all processes of a unit at once. A unit that is not loaded is no error.
func (m *Manager) Kill(ctx context.Context, unit string) error {
	conn, err := m.connection()
	if err != nil {
		return err
	}
	err = conn.KillUnitWithTarget(ctx, unit, dbus.All, int32(unix.SIGKILL))
	if isNoSuchUnit(err) || isNoProcess(err) {
		return nil
	}
	return err
}

// ResetFailed makes systemd forget that a unit has failed. A unit that is not loaded is no error.
func (m *Manager) ResetFailed(ctx context.Context, unit string) error {
	conn, err := m.connection()
	if err != nil {
		return err
	}
	err = conn.ResetFailedUnitContext(ctx, unit)
	if isNoSuchUnit(err) {
		return nil
	}
	return err
}

// List returns the loaded units whose names match one of the shell patterns.
func (m *Manager) List(ctx context.Context, patterns ...string) ([]platform.UnitStatus, error) {
	conn, err := m.connection()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := conn.ListUnitsByPatternsContext(ctx, nil, patterns)
	if err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	list := make([]platform.UnitStatus, len(found))
	for i, u := range found {
		list[i] = platform.UnitStatus{Name: u.Name, Active: u.ActiveState, Sub: u.SubState}
	}
	return list, nil
}
