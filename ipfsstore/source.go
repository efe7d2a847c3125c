package ipfsstore

import (
	"context"

	"github.com/ipfs/go-cid"
)

// A Source is a place blocks come from: a gateway, a node, other peers, a
// stream. It is never believed, so it need not check what it delivers.
//
// Its methods may be called concurrently. A source may also implement [Tiered]
// and [Parallel].
type Source interface {
	// Name is what the source is called in configuration, statistics and
	// errors. It is the same for the source's whole life and unique in a
	// store.
	Name() string

	// Fetch hands each block of want that it can get to sink, in any order,
	// each at most once, and returns when it is done with all of them. It
	// may call sink from several goroutines at once, but not after it has
	// returned. The bytes belong to the source again when sink returns.
	//
	// If sink returns an error, the source stops and returns that error.
	// Blocks that the source does not have are an error that is
	// [ErrNotFound], after the others were delivered; any other error means
	// that the source is in trouble. Fetch returns soon after ctx is done.
	Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error
}

// Tiered is implemented by sources that are not of the tier "L4".
type Tiered interface {
	// Tier is "L3" for a node on this machine or "L4" for anything farther.
	Tier() string
}

// Parallel is implemented by sources that want another number of simultaneous
// Fetch calls than the default of eight.
type Parallel interface {
	// Parallel is the number of calls, at least one.
	Parallel() int
}

// A SourceStat says what a source did in one fetch.
type SourceStat struct {
	Name   string
	Bytes  int64   // verified
	Blocks int64   // verified
	Errors int64   // calls that failed, absent blocks not counted
	Score  float64 // observed bytes per second of one request, recent ones weighing more
	Banned bool    // it sent a block with the wrong hash
}

const (
	tierStore       = "L2"
	tierFar         = "L4"
	defaultParallel = 8
)

func tierOf(s Source) string {
	if t, ok := s.(Tiered); ok {
		return t.Tier()
	}
	return tierFar
}

func parallelOf(s Source) int {
	if p, ok := s.(Parallel); ok {
		return max(1, p.Parallel())
	}
	return defaultParallel
}
