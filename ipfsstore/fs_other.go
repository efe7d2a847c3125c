//go:build !linux && !darwin

package ipfsstore

import (
	"errors"
	"os"
	"time"
)

// fileClock is the step of the clock that stamps files; 0: it is not known.
func fileClock() time.Duration { return 0 }

// stampTime is what a file that is changed now is stamped with, or earlier; the
// zero time: it is not known.
func stampTime() time.Time { return time.Time{} }

// lstat knows neither inode nor change time here: a change that keeps both size
// and modification time is found by Verify only.
func lstat(path string) (fileStat, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return fileStat{}, err
	}
	return fromInfo(fi), nil
}

func fstat(f *os.File) (fileStat, error) {
	fi, err := f.Stat()
	if err != nil {
		return fileStat{}, err
	}
	return fromInfo(fi), nil
}

func fromInfo(fi os.FileInfo) fileStat {
	return fileStat{Size: fi.Size(), Mtime: fi.ModTime().UnixNano(), irregular: !fi.Mode().IsRegular()}
}

func reflink(string, string) error { return errors.ErrUnsupported }

// syncAll can't be had here; errors.ErrUnsupported makes the caller sync file by file.
func syncAll(string) error { return errors.ErrUnsupported }

// startSync does nothing: a range can't be flushed by itself here.
func startSync(*os.File, int64, int64) {}

// syncDir does nothing: folders can't be flushed here.
func syncDir(string) error { return nil }

func freeBytes(string) (int64, bool) { return 0, false }

// countsLinks says whether the system tells how many names a file has.
const countsLinks = false

// diskUse does not know here how many names a file has: 0 of them.
func diskUse(path string) (links uint64, bytes int64, err error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	return 0, fi.Size(), nil
}

// dataRanges would find holes; here the whole of f is looked at.
func dataRanges(_ *os.File, size int64) []byteRange { return []byteRange{{0, size}} }
