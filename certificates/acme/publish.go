package acme

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/fnctl/fnctl/certificates"
)

const (
	// publishPause is what passes at least between two writes of the status, and writePause between two of the state that nothing waits
	// for: with many hosts, each is long.
	publishPause = time.Second
	writePause   = 10 * time.Second
)

// written is what was written into a file, and when.
type written struct {
	text []byte
	at   time.Time
}

// due returns when the file may be written again; the zero time if it may be now.
func (w *written) due(now time.Time, pause time.Duration) time.Time {
	if at := w.at.Add(pause); at.After(now) && !w.at.After(now) {
		return at
	}
	return time.Time{}
}

// write has the file written if its text is another one.
func (w *written) write(now time.Time, v any, write func() error) error {
	text, err := json.Marshal(v)
	if err == nil && !bytes.Equal(text, w.text) {
		err = write()
	}
	if err != nil {
		return err
	}
	*w = written{text, now}
	return nil
}

// publish writes for everybody what is known, if it has changed, and returns when it is to be done if not now.
func (m *Manager) publish(now time.Time) (later time.Time) {
	if later := m.published.due(now, publishPause); !later.IsZero() {
		return later
	}
	s := m.status(now)
	if err := m.published.write(now, s, func() error { return certificates.WriteStatus(m.paths, s) }); err != nil {
		m.log.Error("write the status", "err", err)
	}
	return time.Time{}
}

// status is what is known.
func (m *Manager) status(now time.Time) certificates.Status {
	s := certificates.Status{Hosts: []certificates.HostStatus{}, Paused: m.paused(now)}
	for _, h := range m.sorted() {
		status := h.status(m.cache.All()[h.name], now)
		if s.Paused != nil && status.Error != "" && status.NextTry.Before(s.Paused.Until) && !certificates.IsLocal(h.name) {
			status.NextTry = s.Paused.Until
		}
		s.Hosts = append(s.Hosts, status)
	}
	return s
}

// paused is until when no authority is asked, nil if one is.
func (m *Manager) paused(now time.Time) (pause *certificates.Pause) {
	for _, directory := range m.settings.ACME.Directories {
		a := m.authority(directory)
		until := sane(a.Until, now)
		if !until.After(now) {
			return nil
		}
		if pause == nil || until.Before(pause.Until) {
			pause = &certificates.Pause{Until: until, Error: a.Error}
		}
	}
	return pause
}

// writeDown writes what has to survive the service, if it has changed, and returns when it is to be done if not now.
func (m *Manager) writeDown(now time.Time) (later time.Time) {
	if later := m.written.due(now, writePause); !later.IsZero() {
		return later
	}
	m.writeNow(now)
	return time.Time{}
}

// writeNow does it at once, and reports whether it is on the disk.
func (m *Manager) writeNow(now time.Time) bool {
	err := m.written.write(now, m.state, func() error { return m.state.write(filepath.Join(m.dir(), "state.json")) })
	if err != nil {
		m.log.Error("write down what was tried", "err", err)
	}
	return err == nil
}
