package cli

import (
	"errors"
	"syscall"

	"github.com/fnctl/fnctl/platform"
)

// hintAtFullDisk says what helps where there is no space left. It is no failure of what was to be done, so any other hint
// would lead astray.
func hintAtFullDisk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return platform.WithHint(err, "df -h shows which file system is full, df -i whether of names; fnctl gc removes what nobody needs")
	}
	return err
}
