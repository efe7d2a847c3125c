package ipfsstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ipfs/go-cid"
)

// parts are the files of a fetch that are not whole yet: sparse files of their
// final size, into which leaves are written where they belong, in any order.
type parts struct {
	store  *Store
	job    *fetchJob
	dir    string
	staged map[string]stagedFile

	flusher flusher

	mu    sync.Mutex // guards the below
	tasks map[cid.Cid]*leafTask
	torn  map[cid.Cid]bool // files that are not whole, because blocks are absent
}

// writePiece is how much is written at a time. For larger pieces the kernel takes
// larger pages; those that are free are the first that the host of a virtual machine
// has taken back, and giving them again takes several times as long as the writing.
const writePiece = 64 << 10

// A part is one of them.
type part struct {
	path string
	blob *blob

	writing sync.Mutex // held while file is written: the kernel lets in one anyway, and has the others spin

	mu   sync.Mutex // guards all below
	file *os.File
	left int // chunks that are missing
}

// A place is where a leaf belongs; the same leaf may belong in several.
type place struct {
	part *part
	chunk
}

// A leafTask is a leaf on its way.
type leafTask struct {
	task
	places []place
}

// fetch gets the missing leaves of blobs, whose chunks are known. What an
// earlier fetch has left is hashed and kept.
func (p *parts) fetch(ctx context.Context, blobs []*blob) error {
	p.staged, p.tasks, p.torn = make(map[string]stagedFile), make(map[cid.Cid]*leafTask), make(map[cid.Cid]bool)
	if len(blobs) == 0 {
		return nil
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	all := make([]*part, len(blobs))
	defer func() {
		for _, pt := range all {
			pt.close()
		}
	}()
	var queue []*task
	var bytes int64
	for i, b := range blobs {
		all[i] = &part{path: filepath.Join(p.dir, b.cid.String()), blob: b}
		missing, err := p.resume(ctx, all[i])
		if err != nil {
			return err
		}
		queue = append(queue, p.want(all[i], missing)...)
		for _, c := range missing {
			if !p.job.nodes.isAbsent(c.cid) {
				bytes += max(c.size, 0)
			}
		}
	}
	if free, ok := freeBytes(p.dir); ok && bytes > free {
		return fmt.Errorf("%w: %d bytes to fetch, room for %d", ErrDiskFull, bytes, free)
	}
	p.flusher.start()
	err := p.job.net.run(ctx, queue)
	p.flusher.stop()
	if err != nil {
		return err
	}
	return p.stage(all)
}

// resume returns the chunks of a part that are not there yet.
func (p *parts) resume(ctx context.Context, pt *part) ([]chunk, error) {
	var missing []chunk
	if st, err := lstat(pt.path); err == nil && !st.irregular && st.Size == max(pt.blob.size, 0) && pt.blob.size != unknownBytes {
		if missing, err = p.verified(ctx, pt); err != nil {
			return nil, err
		}
	} else {
		if err := os.RemoveAll(pt.path); err != nil {
			return nil, err
		}
		missing = slices.Clone(pt.blob.chunks)
	}
	pt.left = len(missing)
	if pt.blob.lost {
		pt.left++ // never comes
	}
	return p.inline(pt, missing)
}

// verified hashes what was written to a part and returns the chunks that are
// missing or wrong.
func (p *parts) verified(ctx context.Context, pt *part) ([]chunk, error) {
	f, err := os.Open(pt.path)
	if err != nil {
		return nil, err
	}
	ranges := dataRanges(f, pt.blob.size)
	if err := f.Close(); err != nil {
		return nil, err
	}
	var written, missing []chunk
	for _, c := range pt.blob.chunks {
		if c.size == 0 || overlaps(ranges, c) {
			written = append(written, c)
		} else {
			missing = append(missing, c)
		}
	}
	bad := make([]bool, len(written))
	err = p.store.eachChunk(ctx, pt.path, written, func(i int, data []byte) error {
		if bad[i] = !chunkRight(p.job.nodes, written[i], data); !bad[i] {
			p.job.meter.add(int64(len(data)))
		}
		return nil
	})
	for i, c := range written {
		if bad[i] {
			missing = append(missing, c)
		}
	}
	return missing, err
}

func overlaps(ranges []byteRange, c chunk) bool {
	i, found := slices.BinarySearchFunc(ranges, c.off, func(r byteRange, off int64) int {
		switch {
		case r.to <= off:
			return -1
		case r.from > off:
			return 1
		}
		return 0
	})
	return found || i < len(ranges) && ranges[i].from < c.off+c.size
}

// inline writes the bytes that are in nodes, or in CIDs, and returns the rest.
func (p *parts) inline(pt *part, chunks []chunk) ([]chunk, error) {
	var rest []chunk
	for _, c := range chunks {
		block, ok := p.job.nodes.get(c.cid)
		if !ok {
			rest = append(rest, c)
			continue
		}
		data, _, err := payload(c.cid, block)
		if err != nil {
			return nil, err
		}
		if err := p.write(place{pt, c}, data); err != nil {
			return nil, err
		}
	}
	if len(pt.blob.chunks) == 0 { // an empty file that is a node
		return nil, pt.open()
	}
	return rest, nil
}

// want returns the tasks for chunks, but for leaves that are on their way
// already: those get another place.
func (p *parts) want(pt *part, chunks []chunk) []*task {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*task
	for _, c := range chunks {
		if p.job.nodes.isAbsent(c.cid) {
			p.torn[pt.blob.cid] = true
			continue
		}
		t := p.tasks[c.cid]
		if t != nil {
			t.places = append(t.places, place{pt, c})
			continue
		}
		t = &leafTask{task: task{cid: c.cid, size: c.size}, places: []place{{pt, c}}}
		t.take = func(block []byte) ([]*task, error) { return p.take(t, block) }
		p.tasks[c.cid] = t
		out = append(out, &t.task)
	}
	return out
}

// take puts a verified block where it belongs.
func (p *parts) take(t *leafTask, block []byte) ([]*task, error) {
	p.mu.Lock()
	delete(p.tasks, t.cid) // from here on, another place needs another task
	places := t.places
	p.mu.Unlock()
	data, n, err := payload(t.cid, block)
	if err != nil {
		return nil, err
	}
	if err := p.keepNode(t.cid, block, data, n); err != nil {
		return nil, err
	}
	var more []*task
	for _, pl := range places {
		next, err := p.fill(pl, data, n)
		if err != nil {
			return nil, err
		}
		more = append(more, next...)
	}
	return more, nil
}

// keepNode keeps a dag-pb block that can't be made again from the file.
func (p *parts) keepNode(c cid.Cid, block, data []byte, n *node) error {
	if n == nil {
		return nil
	}
	if len(n.links) == 0 {
		if _, ok := rewrap(c, data); ok {
			return nil
		}
	}
	return p.job.nodes.put(c, slices.Clone(block))
}

// fill writes a block's own bytes at a place, and wants what it links to.
func (p *parts) fill(pl place, data []byte, n *node) ([]*task, error) {
	size := int64(len(data))
	if n != nil {
		size = n.size
	}
	if pl.size != unknownBytes && size != pl.size {
		return nil, fmt.Errorf("%w: block %s is %d bytes of a file, its link says %d", ErrInvalidDAG, pl.cid, size, pl.size)
	}
	if limit := p.job.o.MaxBytes; limit > 0 && size > limit {
		return nil, fmt.Errorf("%w: %d bytes, %d allowed", ErrTooLarge, size, limit)
	}
	var below []chunk
	if n != nil && len(n.links) > 0 {
		var err error
		if _, below, err = split(p.job.nodes, pl.chunk); err != nil {
			return nil, err
		}
	}
	pl.part.more(len(below))
	if err := p.write(pl, data); err != nil {
		return nil, err
	}
	return p.want(pl.part, below), nil
}

// write writes the bytes of a verified chunk.
func (p *parts) write(pl place, data []byte) error {
	if err := pl.part.open(); err != nil {
		return err
	}
	err := pl.part.writeAt(data, pl.off)
	if err != nil {
		return err
	}
	p.flusher.put(pl.part.file, pl.off, int64(len(data)))
	p.job.meter.add(int64(len(data)))
	if pl.part.more(-1) == 0 {
		return pl.part.close()
	}
	return nil
}

func (pt *part) writeAt(data []byte, off int64) error {
	pt.writing.Lock()
	defer pt.writing.Unlock()
	for piece := range slices.Chunk(data, writePiece) {
		if _, err := pt.file.WriteAt(piece, off); err != nil {
			return err
		}
		off += int64(len(piece))
	}
	return nil
}

// more changes the number of missing chunks and returns it.
func (pt *part) more(n int) int {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	pt.left += n
	return pt.left
}

func (pt *part) open() error {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.file != nil {
		return nil
	}
	f, err := os.OpenFile(pt.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	pt.file = f
	return f.Truncate(max(pt.blob.size, 0))
}

func (pt *part) close() error {
	pt.mu.Lock()
	defer pt.mu.Unlock()
	if pt.file == nil {
		return nil
	}
	err := pt.file.Close()
	if pt.file = nil; errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// stage hands the whole files over to commit.
func (p *parts) stage(all []*part) error {
	for _, pt := range all {
		if pt.blob.lost || p.torn[pt.blob.cid] {
			p.torn[pt.blob.cid] = true
			if err := p.keepTorn(pt); err != nil {
				return err
			}
			continue
		}
		if pt.left != 0 {
			return fmt.Errorf("%w: %d chunks of file %s never came", ErrInvalidDAG, pt.left, pt.blob.cid)
		}
		if err := pt.close(); err != nil {
			return err
		}
		st, err := lstat(pt.path)
		if err != nil {
			return err
		}
		p.staged[pt.blob.cid.String()] = stagedFile{pt.path, Copy, st}
	}
	return nil
}

// keepTorn leaves a file where the next fetch goes on with it.
func (p *parts) keepTorn(pt *part) error {
	if err := pt.close(); err != nil {
		return err
	}
	if err := syncFile(pt.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // not one of its leaves came
}

// tidy removes what is in place, and leaves what another fetch goes on with.
func (p *parts) tidy() {
	for _, f := range p.staged {
		_ = os.Remove(f.path) // it was moved, or another is as good
	}
	_ = os.Remove(p.dir) // if it is empty
}

// discard removes what is left of the folder once its files are in place.
func (p *parts) discard() { _ = os.RemoveAll(p.dir) }
