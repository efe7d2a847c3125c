package runner

import (
	"os"

	"golang.org/x/sys/unix"
)

// sharedSize is how much memory a child shares with us, in bytes. What is not
// touched of it takes none.
const sharedSize = 64 << 20

// seals keep either side from cutting the memory short under the other.
const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_SEAL

// newMemory makes memory that a child can share, as a file for it to inherit.
func newMemory() ([]byte, *os.File, error) {
	fd, err := unix.MemfdCreate("tensors", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "tensors")
	memory, err := sealed(f)
	if err != nil {
		f.Close() // err says more
		return nil, nil, err
	}
	return memory, f, nil
}

func sealed(f *os.File) ([]byte, error) {
	if err := f.Truncate(sharedSize); err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return mapMemory(int(f.Fd()))
}

func mapMemory(fd int) ([]byte, error) {
	memory, err := unix.Mmap(fd, 0, sharedSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	return memory, os.NewSyscallError("mmap", err)
}

func freeMemory(memory []byte) error { return unix.Munmap(memory) }

// inheritMemory returns the memory that a parent shares with this process, nil
// if it does not.
func inheritMemory() ([]byte, error) {
	const fd = 5
	if got, err := unix.FcntlInt(fd, unix.F_GET_SEALS, 0); err != nil || got != seals {
		return nil, nil // it is something else's, or nothing
	}
	defer unix.Close(fd) // the mapping stays
	return mapMemory(fd)
}
