package deploy

import "testing"

func TestUsedPort(t *testing.T) {
	for line, want := range map[string]uint16{
		`ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 9100): address already in use`:  9100,
		`ERROR:    [Errno 98] error while attempting to bind on address ('::', 9100, 0, 0): address already in use`: 9100,
		`listen tcp :9100: bind: address already in use`:                                                            9100,
		`2026/11/30 06:51:15 listen tcp [::1]:9100: bind: address already in use`:                                   9100,
		`Error: listen EADDRINUSE: address already in use :::9100`:                                                  9100,
		`Error: listen EADDRINUSE: address already in use 0.0.0.0:9100`:                                             9100,
		`Connection in use: ('0.0.0.0', 9100)`:                                                                      9100,
		`Address already in use - bind(2) for "0.0.0.0" port 9100 (Errno::EADDRINUSE)`:                              9100,
		`OSError: [Errno 98] Address already in use`:                                                                0,
		`2026-11-30 06:51:15,123 ERROR Address already in use`:                                                      0,
		`listen tcp :99999: bind: address already in use`:                                                           0,
	} {
		if !portInUse.MatchString(line) {
			t.Errorf("%s: not found", line)
		}
		if got := usedPortOf(line); got != want {
			t.Errorf("%s: got %d, want %d", line, got, want)
		}
	}
	if portInUse.MatchString("the address 9100 is already known") {
		t.Error("found what is not there")
	}
}
