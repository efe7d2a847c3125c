package ipfsstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ipfs/go-cid"
)

// Import adds the model of a CAR stream, of version 1 or 2, with one root. Blocks may come in any
// order; those that the root does not need are left out. Of o, only
// Name, Replace, Pin and Progress mean something here. A stream that is not a file is written to the store's disk
// once before it is taken apart.
//
// A stream that lacks blocks makes a model that is not complete: see
// [Artifact].Lost. What came is kept, and is there for a fetch, or for another
// import, that brings the rest.
//
// A stream that is malformed, truncated or lacks its root is [ErrInvalidCAR]; a
// block with the wrong bytes a [HashMismatchError] of the source "CAR".
func (s *Store) Import(ctx context.Context, r io.Reader, o AddOptions) (Artifact, error) {
	tag, err := optionalName(o.Name)
	if err != nil {
		return Artifact{}, err
	}
	st, err := s.newStaging(ctx)
	if err != nil {
		return Artifact{}, diskFull(err)
	}
	defer st.discard()
	src, err := openCAR(ctx, r, filepath.Join(st.dir, "car"))
	if err != nil {
		return Artifact{}, fmt.Errorf("import: %w", diskFull(err))
	}
	defer src.close()
	j := &fetchJob{
		store: s, o: FetchOptions{Pin: o.Pin, Replace: o.Replace}, ref: Ref{CID: src.root}, tag: tag, net: newFetcher([]Source{src}),
		nodes: newNodeSet(), meter: newMeter(o.Progress, "manifest", 0), absent: src.lacks,
	}
	a, _, err := j.run(ctx)
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%w: %w", ErrInvalidCAR, err)
	}
	if err != nil {
		return Artifact{}, fmt.Errorf("import %s: %w", src.root, diskFull(err))
	}
	s.makeRoom(ctx, a.Root)
	return a, nil
}

// A carSource serves the blocks of one CAR.
type carSource struct {
	root  cid.Cid
	file  io.ReaderAt
	where map[cid.Cid]byteRange
	close func()
}

var _ Source = (*carSource)(nil)

// openCAR finds the blocks of a stream. They are hashed when they are used.
func openCAR(ctx context.Context, r io.Reader, spool string) (*carSource, error) {
	src := &carSource{where: make(map[cid.Cid]byteRange), close: func() {}}
	start := int64(0)
	if f, ok := r.(*os.File); ok && isSeekable(f) {
		start, _ = f.Seek(0, io.SeekCurrent) // isSeekable has tried it
		src.file = f
	} else {
		f, err := os.OpenFile(spool, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		src.file, src.close = f, func() { _ = f.Close() }
		r = io.TeeReader(r, f)
	}
	if err := src.scan(ctx, r, start); err != nil {
		src.close()
		return nil, err
	}
	return src, nil
}

func isSeekable(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	_, err = f.Seek(0, io.SeekCurrent)
	return err == nil
}

func (c *carSource) scan(ctx context.Context, r io.Reader, start int64) error {
	br := bufio.NewReaderSize(r, 1<<18)
	skipped, size, err := openCARv2(br)
	if err != nil {
		return err
	}
	if size > 0 {
		br = bufio.NewReaderSize(io.LimitReader(br, size), 1<<18)
	}
	cr, err := newCARReader(br)
	if err != nil {
		return err
	}
	start += skipped
	c.root = cr.root
	buf := make([]byte, maxCARSection)
	for ctx.Err() == nil {
		id, block, err := cr.next(buf)
		if err == io.EOF { //nolint:errorlint // next returns EOF itself
			return nil
		}
		if err != nil {
			return err
		}
		if _, ok := c.where[id]; !ok {
			c.where[id] = byteRange{start + cr.pos - int64(len(block)), start + cr.pos}
		}
		if len(c.where) > maxLeaves {
			return fmt.Errorf("%w: more than %d blocks", ErrTooLarge, maxLeaves)
		}
	}
	return ctx.Err()
}

// lacks reports whether the CAR does not have a block.
func (c *carSource) lacks(id cid.Cid) bool {
	_, ok := c.where[id]
	return !ok
}

// Name implements [Source].
func (c *carSource) Name() string { return "CAR" }

// Parallel implements [Parallel]: more would hash no faster.
func (c *carSource) Parallel() int { return hashers() }

// Fetch implements [Source].
func (c *carSource) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	buf := leafBuffers.Get().(*[]byte) // the pool holds nothing else
	defer leafBuffers.Put(buf)
	var missing error
	for _, id := range want {
		if err := ctx.Err(); err != nil {
			return err
		}
		at, ok := c.where[id]
		if !ok || at.to-at.from > maxBlock {
			missing = fmt.Errorf("block %s: %w", id, ErrNotFound)
			continue
		}
		block := (*buf)[:at.to-at.from]
		if _, err := c.file.ReadAt(block, at.from); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := sink(id, block); err != nil {
			return err
		}
	}
	return missing
}
