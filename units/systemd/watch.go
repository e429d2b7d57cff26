package systemd

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	godbus "github.com/godbus/dbus/v5"

	"github.com/fnctl/fnctl/platform"
)

// privateSocket is where PID 1 talks to root without a D-Bus daemon. Signals come there without being asked for.
const privateSocket = "unix:path=/run/systemd/private"

// errWatch says that the connection on which changes are told has ended.
var errWatch = errors.New("systemd closed the connection")

// Watch sends the state of every instance unit that changes, in order, until the context ends or the connection does. It
// calls watching once no change can be missed any more.
//
// It has a connection of its own: go-systemd's drops changes, or tells them out of order, when there are many at once.
func (m *Manager) Watch(ctx context.Context, changes chan<- platform.UnitStatus, watching func()) error {
	conn, err := godbus.Dial(privateSocket, godbus.WithContext(ctx), godbus.WithSignalHandler(godbus.NewSequentialSignalHandler()))
	if err != nil {
		return fmt.Errorf("watch units: %w", err)
	}
	defer conn.Close()
	if err := conn.Auth([]godbus.Auth{godbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		return fmt.Errorf("watch units: %w", err)
	}
	signals := make(chan *godbus.Signal, 64)
	conn.Signal(signals)
	watching()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case signal, open := <-signals:
			if !open {
				return errWatch
			}
			unit, ok := changedUnit(signal)
			if !ok {
				continue
			}
			select {
			case changes <- unit:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

const unitPath = "/org/freedesktop/systemd1/unit/"

// changedUnit reads a PropertiesChanged signal of a unit (org.freedesktop.systemd1(5), "Properties").
func changedUnit(signal *godbus.Signal) (platform.UnitStatus, bool) {
	var unit platform.UnitStatus
	escaped, isUnit := strings.CutPrefix(string(signal.Path), unitPath)
	if !isUnit || signal.Name != "org.freedesktop.DBus.Properties.PropertiesChanged" || len(signal.Body) < 2 {
		return unit, false
	}
	properties, _ := signal.Body[1].(map[string]godbus.Variant)
	if signal.Body[0] != "org.freedesktop.systemd1.Unit" || properties == nil {
		return unit, false
	}
	unit.Name = unescapePath(escaped)
	unit.Active, _ = properties["ActiveState"].Value().(string)
	unit.Sub, _ = properties["SubState"].Value().(string)
	return unit, unit.Active != "" && strings.HasPrefix(unit.Name, "fn-")
}

// unescapePath undoes sd_bus_path_encode(3): _2d is a hyphen.
func unescapePath(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '_' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.Write(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
