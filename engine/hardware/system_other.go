//go:build !linux && !darwin && !windows

package hardware

import (
	"errors"
	"runtime"
)

func probeSystem(*Host) error {
	return errors.New("no way to read the memory of " + runtime.GOOS)
}
