package wire

import (
	"slices"
	"sync"
	"unsafe"
)

// What a free list keeps: enough for runs in a row and a few side by side.
const (
	maxFree       = 4
	maxFreeLength = 16 << 20
)

// A freeList has buffers for payloads that are used again, since memory fresh
// from the system costs as much as reading into it.
type freeList struct {
	mu   sync.Mutex
	free [][]byte // guarded by mu; at most maxFree
}

// get returns n aligned bytes of any content.
func (f *freeList) get(n int64) []byte {
	f.mu.Lock()
	i := slices.IndexFunc(f.free, func(b []byte) bool { return int64(cap(b)) >= n && int64(cap(b)) <= 2*n })
	var b []byte
	if i >= 0 {
		b = f.free[i][:n]
		f.free = slices.Delete(f.free, i, i+1)
	}
	f.mu.Unlock()
	if b == nil {
		b = alignedBuffer(n)
	}
	return b
}

// put takes back what get returned and nobody uses any more.
func (f *freeList) put(b []byte) {
	if len(b) == 0 || cap(b) > maxFreeLength {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.free) == maxFree { // the oldest is of the size least asked for
		f.free = slices.Delete(f.free, 0, 1)
	}
	f.free = append(f.free, b)
}

// alignedBuffer returns n bytes whose address is a multiple of the alignment.
func alignedBuffer(n int64) []byte {
	if n == 0 {
		return nil
	}
	b := make([]byte, n+alignment-1)
	skip := pad(int64(uintptr(unsafe.Pointer(&b[0])) & (alignment - 1)))
	return b[skip : skip+n : skip+n]
}
