package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"github.com/fnctl/fnctl/platform"
)

// Service inspects one service unit.
func (m *Manager) Service(ctx context.Context, unit string) (platform.ServiceStatus, error) {
	var status platform.ServiceStatus
	conn, err := m.connection()
	if err != nil {
		return status, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	common, err := conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return status, fmt.Errorf("inspect %s: %w", unit, err)
	}
	own, err := conn.GetUnitTypePropertiesContext(ctx, unit, "Service")
	if err != nil {
		return status, fmt.Errorf("inspect %s: %w", unit, err)
	}
	status.Name = unit
	status.Load, _ = common["LoadState"].(string)
	status.Active, _ = common["ActiveState"].(string)
	status.Sub, _ = common["SubState"].(string)
	status.Result, _ = own["Result"].(string)
	if pid, ok := own["MainPID"].(uint32); ok {
		status.MainPID = int(pid)
	}
	if code, ok := own["ExecMainStatus"].(int32); ok {
		status.ExitStatus = int(code)
	}
	ended, _ := own["ExecMainExitTimestamp"].(uint64)
	code, _ := own["ExecMainCode"].(int32)
	status.Ended = ended > 0 || status.Result != "success"
	status.Signaled = code == cldKilled || code == cldDumped
	return status, nil
}

// SocketResult is success, or how a socket unit has failed: exit-code, resources, trigger-limit-hit, …
func (m *Manager) SocketResult(ctx context.Context, unit string) (string, error) {
	conn, err := m.connection()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	property, err := conn.GetUnitTypePropertyContext(ctx, unit, "Socket", "Result")
	if err != nil {
		return "", fmt.Errorf("inspect %s: %w", unit, err)
	}
	result, _ := property.Value.Value().(string)
	return result, nil
}

// SocketAddresses are what a socket unit listens on: addresses with a port, and paths of unix sockets.
func (m *Manager) SocketAddresses(ctx context.Context, unit string) ([]string, error) {
	conn, err := m.connection()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	property, err := conn.GetUnitTypePropertyContext(ctx, unit, "Socket", "Listen")
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", unit, err)
	}
	var listens []struct{ Kind, Address string }
	if err := godbus.Store([]any{property.Value.Value()}, &listens); err != nil {
		return nil, fmt.Errorf("inspect %s: %w", unit, err)
	}
	var addresses []string
	for _, listen := range listens {
		if listen.Kind == "Stream" {
			addresses = append(addresses, listen.Address)
		}
	}
	return addresses, nil
}

// How a process ended, as waitid(2) has it.
const (
	cldKilled = 2
	cldDumped = 3
)

// InactiveSince is when a unit last became inactive; the zero time if it never did.
func (m *Manager) InactiveSince(ctx context.Context, unit string) (time.Time, error) {
	conn, err := m.connection()
	if err != nil {
		return time.Time{}, err
	}
	property, err := conn.GetUnitPropertyContext(ctx, unit, "InactiveEnterTimestamp")
	if err != nil {
		return time.Time{}, fmt.Errorf("inspect %s: %w", unit, err)
	}
	return timestamp(property.Value.Value()), nil
}

// timestamp reads systemd's microseconds since the epoch, where 0 means never.
func timestamp(v any) time.Time {
	usec, ok := v.(uint64)
	if !ok || usec == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(usec))
}

func isNoSuchUnit(err error) bool { return isNamed(err, "org.freedesktop.systemd1.NoSuchUnit") }

// isNoProcess recognizes the answer to a signal for a unit without processes.
func isNoProcess(err error) bool {
	return isNamed(err, "org.freedesktop.systemd1.NoSuchProcess") || isNamed(err, "System.Error.ESRCH")
}

func isNamed(err error, name string) bool {
	var dbusError godbus.Error
	return errors.As(err, &dbusError) && dbusError.Name == name
}
