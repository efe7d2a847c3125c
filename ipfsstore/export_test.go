package ipfsstore

import (
	"context"
	"testing"

	"github.com/ipfs/go-cid"
)

// Dir is the store's directory.
func Dir(s *Store) string { return s.dir }

// ForbidHashing makes every attempt of the store to hash a file wait for allow.
func ForbidHashing(t *testing.T, s *Store) (allow func()) {
	t.Helper()
	n := int64(hashers())
	if !s.hashing.TryAcquire(n) {
		t.Fatal("the store is hashing")
	}
	return func() { s.hashing.Release(n) }
}

// Internals under test.
var (
	MatchAny      = matchAny
	CheckPatterns = checkPatterns
)

// FetchBlocks fetches the first of want, and when it has come the others, which
// are of about size bytes each. All are forgotten.
func FetchBlocks(ctx context.Context, sources []Source, want []cid.Cid, size int64) ([]SourceStat, error) {
	f := newFetcher(sources)
	var tasks []*task
	for _, c := range want[1:] {
		tasks = append(tasks, &task{cid: c, size: size, take: func([]byte) ([]*task, error) { return nil, nil }})
	}
	first := &task{cid: want[0], take: func([]byte) ([]*task, error) { return tasks, nil }}
	err := f.run(ctx, []*task{first})
	return f.stats(), err
}
