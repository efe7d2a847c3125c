package ipfsstore

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fileClock is the step of the clock that stamps files; 0 if that is not known.
func fileClock() time.Duration {
	var ts unix.Timespec
	if unix.ClockGetres(unix.CLOCK_REALTIME_COARSE, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// stampTime is what a file that is changed now is stamped with, or earlier.
func stampTime() time.Time {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_REALTIME_COARSE, &ts) != nil {
		return time.Time{}
	}
	return time.Unix(ts.Unix())
}

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
		Dev: st.Dev, Ino: st.Ino, Size: st.Size,
		Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(),
		irregular: st.Mode&unix.S_IFMT != unix.S_IFREG,
	}
}

// reflink makes dst, which must not exist, a copy of src that shares its blocks.
func reflink(src, dst string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			_ = os.Remove(dst)
		}
	}()
	return unix.IoctlFileClone(int(out.Fd()), int(in.Fd()))
}

// syncAll makes everything written so far to the file system of dir durable.
func syncAll(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// startSync begins to make a range of f durable, so that there is less to wait
// for later. It is worth nothing else, so nobody need know if it fails. f may be
// closed meanwhile.
func startSync(f *os.File, off, n int64) {
	if c, err := f.SyscallConn(); err == nil {
		_ = c.Control(func(fd uintptr) { _ = unix.SyncFileRange(int(fd), off, n, unix.SYNC_FILE_RANGE_WRITE) }) // as said
	}
}

func syncDir(dir string) error { return syncFile(dir) }

// freeBytes is the room left on the file system of dir for this user.
func freeBytes(dir string) (int64, bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil || st.Bsize <= 0 {
		return 0, false
	}
	return int64(min(st.Bavail, 1<<62/uint64(st.Bsize))) * st.Bsize, true
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

// dataRanges returns the parts of f that were ever written, in order; the rest
// are holes.
func dataRanges(f *os.File, size int64) []byteRange {
	var out []byteRange
	for pos := int64(0); pos < size; {
		from, err := unix.Seek(int(f.Fd()), pos, unix.SEEK_DATA)
		if err == unix.ENXIO { // nothing but holes from here on
			return out
		}
		to, herr := unix.Seek(int(f.Fd()), from, unix.SEEK_HOLE)
		if err != nil || herr != nil {
			return []byteRange{{0, size}} // a file system without holes
		}
		out = append(out, byteRange{from, to})
		pos = to
	}
	return out
}
