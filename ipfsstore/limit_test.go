package ipfsstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// At 1 MiB a second, five and a half take at least four and a half seconds (a
// block may come at once) and little more than that, however many sources there
// are. The clock is not the wall's.
func TestFetch_limitRate(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	blocks := carBlocks(t, from, root)
	var bytes int
	for _, b := range blocks {
		bytes += len(b)
	}
	const rate = 1 << 20
	synctest.Test(t, func(t *testing.T) {
		s, err := ipfsstore.Open(filepath.Join(t.TempDir(), "store"), ipfsstore.Options{
			Sources: []ipfsstore.Source{storetest.Memory("a", blocks), storetest.Memory("b", blocks)}, LimitRate: rate,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		start := time.Now()
		f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		sameTree(t, f.Artifact, modelFiles())
		least := time.Duration(bytes-rate) * time.Second / rate
		if took := time.Since(start); took < least || took > least+time.Second {
			t.Errorf("%d bytes took %s, want %s and up to a second more", bytes, took, least)
		}
	})
}

// A shelf is an origin in memory.
type shelf struct{ files map[string][]byte }

func (shelf) Name() string   { return "shelf" }
func (shelf) Scheme() string { return "shelf" }

func (shelf) Canonical(ref string) (string, bool, error) { return ref, true, nil }

func (o shelf) Resolve(_ context.Context, ref string) (ipfsstore.Snapshot, error) {
	snap := ipfsstore.Snapshot{Ref: ref, Name: ref}
	for name, data := range o.files {
		sum := sha256.Sum256(data)
		snap.Files = append(snap.Files, ipfsstore.OriginFile{Name: name, Bytes: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	}
	return snap, nil
}

func (o shelf) Read(_ context.Context, _, file string, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(o.files[file][off : off+n])), nil
}

// What comes from an origin counts too, in steps that are short enough for the
// origin not to think that nobody reads.
func TestFetch_namedLimitRate(t *testing.T) {
	t.Parallel()
	const rate, size = 10_000, 1<<20 + 300_000
	files := map[string][]byte{"a.bin": stream("a", size)}
	synctest.Test(t, func(t *testing.T) {
		s, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{Origins: []ipfsstore.Origin{shelf{files}}, LimitRate: rate})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		start, longest, last := time.Now(), time.Duration(0), time.Now()
		f, err := s.Fetch(t.Context(), "shelf://model", ipfsstore.FetchOptions{Progress: func(ipfsstore.Progress) {
			longest, last = max(longest, time.Since(last)), time.Now()
		}})
		if err != nil {
			t.Fatal(err)
		}
		sameTree(t, f.Artifact, files)
		if took := time.Since(start); took < 30*time.Second || took > 31*time.Second || longest > 1100*time.Millisecond {
			t.Errorf("took %s, want 30 s; the longest step %s, want a second", took, longest)
		}
	})
}
