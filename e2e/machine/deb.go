//go:build e2e

package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// NewestDeb returns the package that make has made last for this architecture.
func NewestDeb() (string, error) {
	pattern := filepath.Join(Root(), "dist", "fnctl_*_"+runtime.GOARCH+".deb")
	debs, err := filepath.Glob(pattern)
	if err != nil || len(debs) == 0 {
		return "", fmt.Errorf("there is no %s: run make package first", pattern)
	}
	return slices.MaxFunc(debs, func(a, b string) int { return modified(a).Compare(modified(b)) }), nil
}

// modified is the zero time for a file that has gone.
func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
