package ipfsstore_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"
	"golang.org/x/time/rate"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

const (
	pacedBlocks = 512 // besides the first, which is small
	pacedBytes  = 1 << 20
	pacedStep   = 64 << 10
)

// pacedBlock makes the i-th block of sources that are paced, in buf.
func pacedBlock(i int, buf []byte) []byte {
	if i == 0 {
		buf = buf[:1<<10]
	}
	binary.LittleEndian.PutUint64(buf, uint64(i))
	return buf
}

// pacedBuffers are for blocks; but for what pacedBlock writes they are zeros.
var pacedBuffers = sync.Pool{New: func() any { b := make([]byte, pacedBytes); return &b }}

func pacedCIDs(t *testing.T) []cid.Cid {
	t.Helper()
	out, buf := make([]cid.Cid, pacedBlocks+1), make([]byte, pacedBytes)
	for i := range out {
		sum := sha256.Sum256(pacedBlock(i, buf))
		out[i] = cid.NewCidV1(cid.Raw, must(mh.Encode(sum[:], mh.SHA2_256))(t))
	}
	return out
}

// paced is a source that sends so many bytes a second, all its calls together.
type paced struct {
	name  string
	all   []cid.Cid
	limit *rate.Limiter
}

func newPaced(all []cid.Cid, bytes int) paced {
	limit := rate.NewLimiter(rate.Limit(bytes), pacedStep)
	limit.ReserveN(time.Now(), pacedStep) // it has nothing to spare
	return paced{fmt.Sprint(bytes), all, limit}
}

func (p paced) Name() string { return p.name }

func (p paced) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	for i, c := range p.all {
		if want[0] != c { // large blocks are asked for one by one
			continue
		}
		buf := pacedBuffers.Get().(*[]byte) // the pool holds nothing else
		defer pacedBuffers.Put(buf)
		block := pacedBlock(i, *buf)
		for left := len(block); left > 0; left -= pacedStep {
			if err := p.limit.WaitN(ctx, min(left, pacedStep)); err != nil {
				return err
			}
		}
		return sink(c, block)
	}
	return ipfsstore.ErrNotFound
}

// Sources of unequal speed end together: nearly all of their bandwidth is used,
// from the first block to the last, whoever is asked first. One that was quick with
// a small block is not taken to be quick with large ones. It is the time of a clock
// that only they move, so nothing else counts.
func TestFetch_unequalSources(t *testing.T) {
	t.Parallel()
	all, rates := pacedCIDs(t), []int{300e6, 100e6, 10e6}
	for first := range rates {
		synctest.Test(t, func(t *testing.T) {
			sources := []ipfsstore.Source{storetest.Lying(newPaced(all, 200e6)), storetest.Dead("dead")}
			for i := range rates {
				sources = append(sources, newPaced(all, rates[(i+first)%len(rates)]))
			}
			start := time.Now()
			stats, err := ipfsstore.FetchBlocks(t.Context(), sources, all, pacedBytes)
			if err != nil {
				t.Fatal(err)
			}
			share := pacedBlocks * pacedBytes / time.Since(start).Seconds() / 410e6
			t.Logf("%.1f %% of the bandwidth", 100*share)
			if share < 0.95 || share > 1.001 {
				t.Errorf("%.3f of the bandwidth was used: %+v", share, stats)
			}
			if !stats[0].Banned || stats[0].Bytes > 0 {
				t.Errorf("the liar: %+v", stats[0])
			}
		})
	}
}

// silent never answers.
type silent struct{ name string }

func (s silent) Name() string { return s.name }

func (s silent) Fetch(ctx context.Context, _ []cid.Cid, _ func(cid.Cid, []byte) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// lingering has one call at a time, which lasts for a while after its block came.
type lingering struct{ paced }

func (l lingering) Parallel() int { return 1 }

func (l lingering) Fetch(ctx context.Context, want []cid.Cid, sink func(cid.Cid, []byte) error) error {
	err := l.paced.Fetch(ctx, want, sink)
	return errors.Join(err, l.limit.WaitN(ctx, pacedStep))
}

// A source that had a small block only, and slowly, does not leave a large one to
// others that never answer for as long as that would make it seem.
func TestFetch_silentSources(t *testing.T) {
	t.Parallel()
	all := pacedCIDs(t)[:2]
	synctest.Test(t, func(t *testing.T) {
		sources := []ipfsstore.Source{silent{"a"}, silent{"b"}, silent{"c"}, lingering{newPaced(all, 1e6)}}
		start := time.Now()
		if _, err := ipfsstore.FetchBlocks(t.Context(), sources, all, pacedBytes); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("it took %s to have what takes the one source that answers a second", took)
		}
	})
}

// near is a source of this machine's.
type near struct{ silent }

func (near) Tier() string { return "L3" }

// A near source that never answers is not waited for.
func TestFetch_silentNearSource(t *testing.T) {
	t.Parallel()
	all := pacedCIDs(t)[:2]
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			if _, err := ipfsstore.FetchBlocks(t.Context(), []ipfsstore.Source{near{silent{"near"}}, newPaced(all, 1e6)}, all, pacedBytes); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("it took %s to have what takes the one source that answers a second", took)
			}
		})
	}
}
