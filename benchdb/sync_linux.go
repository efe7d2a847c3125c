package benchdb

import (
	"errors"
	"os"
	"syscall"
)

// datasync puts what was written to a file on disk, and of what the system
// notes about it only what is needed to read that.
func datasync(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = c.Control(func(fd uintptr) {
		for {
			if serr = syscall.Fdatasync(int(fd)); !errors.Is(serr, syscall.EINTR) {
				return
			}
		}
	})
	if err != nil { // the file was closed, which c says with an error of its own
		return os.ErrClosed
	}
	return serr
}
