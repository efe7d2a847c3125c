package ipfsstore

import (
	"os"
	"sync"
)

const (
	largeLeaf   = 256 << 10 // bytes that are worth flushing by themselves
	flushBehind = 64        // leaves that wait for it
)

// A flusher begins to bring to disk what was written, beside those who write: the
// disk may be slow at times. What it has no time for is flushed at the end with
// the rest. The zero value flushes nothing.
type flusher struct {
	ranges chan writtenRange
	work   sync.WaitGroup
}

type writtenRange struct {
	file   *os.File
	off, n int64
}

func (f *flusher) start() {
	ranges := make(chan writtenRange, flushBehind)
	f.ranges = ranges
	f.work.Go(func() {
		for r := range ranges {
			startSync(r.file, r.off, r.n)
		}
	})
}

// put hands a range over, if it is worth it and there is time.
func (f *flusher) put(file *os.File, off, n int64) {
	if n < largeLeaf {
		return
	}
	select {
	case f.ranges <- writtenRange{file, off, n}:
	default:
	}
}

// stop ends it, and waits for that. Nobody may call put any more.
func (f *flusher) stop() {
	close(f.ranges)
	f.ranges = nil
	f.work.Wait()
}
