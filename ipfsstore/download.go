package ipfsstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	downloads     = 4 // files that come at once
	downloadTries = 4 // calls in a row that bring nothing
	downloadPause = 200 * time.Millisecond
)

// download brings the files into dir, each under its hash. What an earlier call
// has left is hashed and continued.
func (j *namedFetch) download(ctx context.Context, total int64) error {
	have := j.begun()
	if free, ok := freeBytes(j.dir); ok && total-have > free {
		return fmt.Errorf("%w: %d bytes to fetch, room for %d", ErrDiskFull, total-have, free)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(downloads)
	seen := make(map[string]bool)
	for _, f := range j.files {
		if seen[f.key()] {
			continue
		}
		seen[f.key()] = true
		g.Go(func() error {
			if err := j.downloadFile(ctx, f); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// downloadFile brings one file. If it has the wrong hash and an earlier call has
// begun it, nobody knows whose fault that is: it is brought again.
func (j *namedFetch) downloadFile(ctx context.Context, f OriginFile) error {
	d := &fileDownload{job: j, file: f, path: filepath.Join(j.dir, f.key())}
	resumed, err := d.run(ctx)
	if errors.Is(err, ErrHashMismatch) && resumed {
		_, err = d.run(ctx)
	}
	return err
}

// A fileDownload is one file on its way.
type fileDownload struct {
	job   *namedFetch
	file  OriginFile
	path  string
	shown int64 // bytes that the meter has counted
}

func (d *fileDownload) run(ctx context.Context) (resumed bool, err error) {
	out, err := os.OpenFile(d.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	sum := d.file.hash()
	have, err := io.Copy(sum, io.LimitReader(contextReader{ctx, out}, d.file.Bytes))
	if err != nil {
		return false, err
	}
	if err := out.Truncate(have); err != nil {
		return false, err
	}
	d.show(have)
	if err := d.rest(ctx, out, sum, have); err != nil {
		return have > 0, err
	}
	if hex.EncodeToString(sum.Sum(nil)) == d.file.key() {
		d.count(func(s *SourceStat) { s.Blocks++ })
		return have > 0, nil
	}
	if err := os.Remove(d.path); err != nil {
		return have > 0, err
	}
	return have > 0, &HashMismatchError{Source: d.job.origin.Name(), CID: d.file.Name}
}

// rest brings the bytes from have on, as long as some come.
func (d *fileDownload) rest(ctx context.Context, out *os.File, sum hash.Hash, have int64) error {
	for idle := 0; have < d.file.Bytes; {
		n, err := d.more(ctx, out, sum, have)
		have += n
		if idle++; n > 0 {
			idle = 0
		}
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errWrite), errors.Is(err, ErrNotFound), errors.Is(err, ErrDenied), errors.Is(err, ErrOffline):
			return err
		}
		d.count(func(s *SourceStat) { s.Errors++ })
		if idle >= downloadTries {
			return fmt.Errorf("source %q: %w", d.job.origin.Name(), err)
		}
		sleep(ctx, nil, downloadPause<<idle)
	}
	return nil
}

// errWrite marks what is not the origin's fault.
var errWrite = errors.New("write")

// more is one call of the origin.
func (d *fileDownload) more(ctx context.Context, out *os.File, sum hash.Hash, off int64) (int64, error) {
	body, err := d.job.origin.Read(ctx, d.job.snap.Ref, d.file.Name, off, d.file.Bytes-off)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	buf := leafBuffers.Get().(*[]byte) // the pool holds nothing else
	defer leafBuffers.Put(buf)
	var got int64
	for off+got < d.file.Bytes {
		n, err := body.Read((*buf)[:min(int64(d.job.store.limit.piece(len(*buf))), d.file.Bytes-off-got)])
		if err := d.job.store.limit.wait(ctx, int64(n)); err != nil {
			return got, err
		}
		if _, werr := out.WriteAt((*buf)[:n], off+got); werr != nil {
			return got, fmt.Errorf("%w: %w", errWrite, werr)
		}
		_, _ = sum.Write((*buf)[:n]) // never fails
		got += int64(n)
		d.show(off + got)
		d.count(func(s *SourceStat) { s.Bytes += int64(n) })
		if errors.Is(err, io.EOF) && off+got < d.file.Bytes {
			return got, io.ErrUnexpectedEOF
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return got, err
		}
	}
	return got, nil
}

// show has the meter count up to a number of the file's bytes.
func (d *fileDownload) show(have int64) {
	if have > d.shown {
		d.job.meter.add(have - d.shown)
		d.shown = have
	}
}

func (d *fileDownload) count(f func(*SourceStat)) {
	d.job.mu.Lock()
	defer d.job.mu.Unlock()
	f(&d.job.stat)
}
