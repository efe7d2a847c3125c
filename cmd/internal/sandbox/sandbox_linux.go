package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Apply gives up what p does not keep, on all threads of the process, and
// reports what it then found to hold. An error means that the kernel has what
// is needed but refused; the process should not go on.
func Apply(p Policy) (Level, error) {
	if err := limit(p); err != nil {
		return None, fmt.Errorf("set resource limits: %w", err)
	}
	confined, err := landlockAll(p)
	if err != nil {
		return None, err
	}
	if !confined {
		p.WriteDirs = nil
	}
	filtered, err := seccompAll(p)
	if err != nil {
		return None, err
	}
	switch {
	case filtered && confined:
		return Full, verify(p, true)
	case len(p.Devices) > 0:
		return None, nil
	case filtered:
		return Seccomp, verify(p, false)
	}
	return None, nil
}

// errLeak is what must never be seen.
var errLeak = errors.New("sandbox does not hold")

// verify tries what must not work any more.
func verify(p Policy, confined bool) error {
	if p.NoNetwork {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if !errors.Is(err, unix.EPERM) {
			unix.Close(fd) // it should not be open at all
			return errors.Join(errLeak, fmt.Errorf("socket: %w", err))
		}
	}
	if confined {
		// The kernel's own files: there on every machine, and in no policy.
		f, err := os.Open("/proc/version")
		if !errors.Is(err, unix.EACCES) {
			f.Close() // it should not be open at all
			return errors.Join(errLeak, fmt.Errorf("reading: %w", err))
		}
	}
	return nil
}
