package ipfsstore

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// A fileStat is what is compared before a stored file is used.
type fileStat struct {
	Dev   uint64 `json:"dev"`
	Ino   uint64 `json:"ino"`
	Size  int64  `json:"size"`
	Mtime int64  `json:"mtime_ns"`
	Ctime int64  `json:"ctime_ns"`

	irregular bool // not a plain file; never recorded
}

// sameContent reports whether nothing but the change time differs: a link or
// a mode may have changed, a write would show.
func (s fileStat) sameContent(o fileStat) bool {
	s.Ctime = o.Ctime
	return s == o
}

// A byteRange is a half-open range of a file.
type byteRange struct{ from, to int64 }

// clockTick is longer than the step of any clock that stamps files: after it, a
// write to a file gets a later time than the one that was recorded.
var clockTick = cmp.Or(fileClock()*3/2, slowTick)

// fineStamps reports whether any two changes of a file on dir's file system get
// different times if someone looked at the file in between, however soon after
// each other they come: Linux does so from 6.13 on, on most file systems
// (Documentation/filesystems/multigrain-ts.rst). It is tried out on a file.
func fineStamps(dir string) bool {
	f, err := os.CreateTemp(dir, ".stamps-*")
	if err != nil {
		return false
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	last, err := fstat(f)
	for i := range stampTries {
		if err != nil {
			return false
		}
		err = f.Chmod(0o600 &^ fs.FileMode(i%2<<7)) // readable and writable, or only readable
		now, statErr := fstat(f)
		if now.Ctime == last.Ctime {
			return false
		}
		last, err = now, errors.Join(err, statErr)
	}
	return err == nil
}

// stampTries is how many changes fineStamps makes: too many to meet a new step
// of a coarse clock each time.
const stampTries = 16

// slowTick is the clockTick where the system does not tell its clock's step.
const slowTick = 20 * time.Millisecond

// settleStep is how often settle looks at the clock.
const settleStep = 500 * time.Microsecond

// settle waits until a change to a file that was last touched then would show in
// its times: until the clock that stamps files has gone on.
func settle(ctx context.Context, touched time.Time) error {
	end := touched.Add(clockTick)
	for ctx.Err() == nil && time.Now().Before(end) && !stampTime().After(touched) {
		sleep(ctx, nil, settleStep)
	}
	return ctx.Err()
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	return errors.Join(err, f.Close())
}

// manyFiles is the number of files from which flushing the whole file system
// at once is quicker than one by one.
const manyFiles = 32

// syncFiles makes the files durable, which lie on the file system of dir.
func syncFiles(dir string, files []string) error {
	if len(files) >= manyFiles {
		if err := syncAll(dir); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	return eachAtOnce(files, func(f string) error {
		err := syncFile(f)
		if errors.Is(err, fs.ErrPermission) { // another's file, linked: read-only to us
			return nil
		}
		return err
	})
}

// syncsAtOnce is how many files are flushed at once: the journal writes what several
// wait for in one go.
const syncsAtOnce = 8

func eachAtOnce(paths []string, sync func(string) error) error {
	var g errgroup.Group
	g.SetLimit(syncsAtOnce)
	for _, p := range paths {
		g.Go(func() error { return sync(p) })
	}
	return g.Wait()
}

// writeJSON replaces path by v in one step that survives a crash.
func writeJSON(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(path, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}

// writeFile replaces path by what write writes, in one step that survives a crash.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	buf := bufio.NewWriterSize(f, 1<<16)
	if err = errors.Join(write(buf), buf.Flush()); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// linkOrClone makes dst, which must not exist, the same content as src without
// using disk space for it.
func linkOrClone(src, dst string) (Storage, error) {
	lerr := os.Link(src, dst)
	if lerr == nil {
		return HardLink, nil
	}
	if errors.Is(lerr, fs.ErrNotExist) || errors.Is(lerr, fs.ErrExist) {
		return "", lerr
	}
	if err := reflink(src, dst); err != nil {
		return "", lerr
	}
	return Reflink, nil
}

// copyFile copies src to dst, which must not exist.
func copyFile(ctx context.Context, src, dst string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	const step = 64 << 20 // between looks at ctx; ReadFrom lets the kernel copy
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := out.ReadFrom(io.LimitReader(in, step))
		if err != nil {
			return err
		}
		if n < step {
			return nil
		}
	}
}
