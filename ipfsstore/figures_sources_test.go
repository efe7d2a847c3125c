//go:build figures && linux

package ipfsstore_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/figures"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// honestRates are what the three honest servers send, in bytes a second.
var honestRates = []int{300e6, 100e6, 10e6}

// throttled is a server that sends so many bytes a second. It begins with none to
// spare, so that it has never sent more than its rate allows for; what it was kept
// from sending by a busy machine it makes up for, as what lies in a network's
// queues does.
func throttled(h http.Handler, bytes int) http.Handler {
	limit := rate.NewLimiter(rate.Limit(bytes), max(throttleStep, bytes/25))
	drain := sync.OnceFunc(func() { limit.ReserveN(time.Now(), limit.Burst()) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		drain()
		h.ServeHTTP(&throttle{w, r, limit}, r)
	})
}

const throttleStep = 128 << 10

type throttle struct {
	http.ResponseWriter

	r     *http.Request
	limit *rate.Limiter
}

func (t *throttle) Write(p []byte) (int, error) {
	var sent int
	for sent < len(p) {
		step := p[sent:min(len(p), sent+throttleStep)]
		if err := t.limit.WaitN(t.r.Context(), len(step)); err != nil {
			return sent, err
		}
		n, err := t.ResponseWriter.Write(step)
		if sent += n; err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// p4s is what a fetch makes of three honest gateways of 300, 100 and 10 MB/s,
// beside one that lies and one that is dead.
//
// What can be had is their bandwidth, unless the machine can't keep up with it,
// which has to serve and to store it all on the same processors: then it is what a
// copy makes of the same three servers that knows their rates beforehand, asks
// each for its share in one piece, and hashes nothing. Neither waits for the disk.
func p4s(t *testing.T) {
	file := figureFile(t)
	from := openStore(t)
	root := mustAdd(t, from, file, ipfsstore.AddOptions{}).Root
	var ours, copies []float64
	for range figures.Rounds {
		ours = append(ours, fiveSources(t, from, root))
		copies = append(copies, threeShares(t, file))
	}
	var honest float64
	for _, r := range honestRates {
		honest += float64(r)
	}
	rate := func(seconds []float64) float64 { return figureBytes / figures.Median(seconds) }
	figures.Note("P4s fetch %.0f MB/s, copy without hashing %.0f MB/s, honest servers %.0f MB/s", rate(ours)/1e6, rate(copies)/1e6, honest/1e6)
	figures.AtLeast("P4s", 100*rate(ours)/min(honest, rate(copies)), "percent_of_five_sources", 95)
}

// fiveSources is how long a fetch from all five takes.
func fiveSources(t *testing.T, from *ipfsstore.Store, root string) float64 {
	t.Helper()
	sources := []ipfsstore.Source{storetest.Lying(gateway(t, "liar", from)), storetest.Dead("dead")}
	for _, r := range honestRates {
		sources = append(sources, storetest.Gateway(t, fmt.Sprint(r), throttled(from.Gateway(), r)))
	}
	s := openStore(t, sources...)
	f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range f.Sources {
		if st.Name == "liar" && (!st.Banned || st.Blocks > 0) {
			t.Errorf("the liar: %+v", st)
		}
	}
	if err := s.Remove(t.Context(), root, true); err != nil {
		t.Fatal(err)
	}
	return (f.Timings.Total - f.Timings.Sync).Seconds()
}

// threeShares is how long a copy of the file from the three honest servers takes.
func threeShares(t *testing.T, file string) float64 {
	t.Helper()
	out := must(os.Create(filepath.Join(t.TempDir(), "copy")))(t)
	defer os.Remove(out.Name())
	defer out.Close()
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	var left int
	for _, r := range honestRates {
		left += r
	}
	seconds := figures.Seconds(t, func() error {
		var g errgroup.Group
		var from, at int
		for _, r := range honestRates {
			at += r
			first, end := int64(from), int64(figureBytes)*int64(at)/int64(left)
			from = int(end)
			srv := httptest.NewServer(throttled(serve, r))
			defer srv.Close()
			g.Go(func() error { return copyShare(t, out, srv.URL, first, end) })
		}
		return g.Wait()
	})
	if err := out.Sync(); err != nil { // so that the next does not have to
		t.Fatal(err)
	}
	return seconds
}

// copyShare copies a range of what a server has to its place in out.
func copyShare(t *testing.T, out *os.File, url string, from, to int64) error {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(out, from)}, resp.Body, make([]byte, 1<<20))
	if err == nil && n != to-from {
		err = io.ErrUnexpectedEOF
	}
	return err
}
