package ipfsstore

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fileClock is the step of the clock that stamps files; 0: it is not known.
func fileClock() time.Duration { return 0 }

// stampTime is what a file that is changed now is stamped with, or earlier; the
// zero time: it is not known.
func stampTime() time.Time { return time.Time{} }

func lstat(path string) (fileStat, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return fileStat{}, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return fromStat(&st), nil
}

func fstat(f *os.File) (fileStat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fileStat{}, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return fromStat(&st), nil
}

func fromStat(st *unix.Stat_t) fileStat {
	return fileStat{
		Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size,
		Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(),
		irregular: st.Mode&unix.S_IFMT != unix.S_IFREG,
	}
}

// reflink makes dst, which must not exist, a copy of src that shares its blocks.
func reflink(src, dst string) error { return unix.Clonefile(src, dst, unix.CLONE_NOFOLLOW) }

// syncAll makes everything written so far durable.
func syncAll(string) error { return unix.Sync() }

// startSync does nothing: a range can't be flushed by itself here.
func startSync(*os.File, int64, int64) {}

func syncDir(dir string) error { return syncFile(dir) }

// freeBytes is the room left on the file system of dir for this user.
func freeBytes(dir string) (int64, bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Bsize == 0 {
		return 0, false
	}
	return int64(min(st.Bavail, 1<<62/uint64(st.Bsize))) * int64(st.Bsize), true
}

// countsLinks says whether the system tells how many names a file has.
const countsLinks = true

// diskUse returns how many names a file has, and what it takes on disk in bytes:
// not its holes, nor what its last block has to spare.
func diskUse(path string) (links uint64, bytes int64, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, 0, &os.PathError{Op: "lstat", Path: path, Err: err}
	}
	return uint64(st.Nlink), min(st.Size, st.Blocks*512), nil //nolint:unconvert // its type differs by architecture
}

// dataRanges would find holes; here the whole of f is looked at.
func dataRanges(_ *os.File, size int64) []byteRange { return []byteRange{{0, size}} }
