package ipfsstore

import "testing"

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
