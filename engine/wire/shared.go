package wire

import "slices"

// sharedMin is the least payload, in bytes, that goes through shared memory:
// below, copying it through the stream costs no more than a few microseconds.
const sharedMin = 16 << 10

// A sharedHeader says that a frame's payload lies in the memory that both
// sides share, and in a request what the answer may use of it.
type sharedHeader struct {
	At     int64 `json:"at"`             // a multiple of the alignment
	Length int64 `json:"length"`         // of the payload
	Room   int64 `json:"room,omitempty"` // bytes behind the payload, and its padding
}

// check verifies that all of it lies in size bytes of memory.
func (s *sharedHeader) check(size int64) error {
	if s.At < 0 || s.At%alignment != 0 || s.Length < 0 || s.Room < 0 || s.At > size ||
		s.Length > size-s.At || s.Room > size-s.At-s.Length-pad(s.At+s.Length) {
		return protocolError("a payload at %d+%d+%d does not lie in %d bytes of shared memory", s.At, s.Length, s.Room, size)
	}
	return nil
}

// room returns the block that the answer may use.
func (s *sharedHeader) room() block {
	if s == nil {
		return block{}
	}
	end := s.At + s.Length
	return block{end + pad(end), s.Room}
}

// A block is a part of the shared memory; one of size 0 is none.
type block struct{ at, size int64 }

// holds reports whether n bytes at that place are of the block.
func (b block) holds(at, n int64) bool {
	return b.size > 0 && at >= b.at && n <= b.size && at-b.at <= b.size-n
}

// A sharedSpace says which blocks of the shared memory are in use. The side
// that asks keeps it, for answers too, so that the other need never be told
// what is free.
type sharedSpace struct {
	size int64
	used []block // in order
}

// get takes n bytes, the lowest that are free: they are warm.
func (s *sharedSpace) get(n int64) (block, bool) {
	n += pad(n)
	var at int64
	i := slices.IndexFunc(s.used, func(b block) bool {
		if b.at-at >= n {
			return true
		}
		at = b.at + b.size
		return false
	})
	if i < 0 {
		i = len(s.used)
		if n > s.size-at {
			return block{}, false
		}
	}
	b := block{at, n}
	s.used = slices.Insert(s.used, i, b)
	return b, true
}

// put gives back what get took.
func (s *sharedSpace) put(b block) {
	if i := slices.Index(s.used, b); i >= 0 {
		s.used = slices.Delete(s.used, i, i+1)
	}
}
