package doctor

import "testing"

func TestMajorVersion(t *testing.T) {
	for version, want := range map[string]int{
		"252.39-1~deb12u1": 252, "257": 257, "v256~rc3": 256, "247.3-7+deb11u6": 247, "": 0, "deb12": 0, "-1": 0,
	} {
		got, err := majorVersion(version)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v, want %d", version, got, err, want)
		}
	}
}
