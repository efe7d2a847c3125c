//go:build unix

package command

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeDisk is how many bytes this user may add to a folder's file system.
func freeDisk(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:unconvert // their types differ by system
}
