//go:build figures && linux

package ipfsstore_test

import (
	"net/http"
	"testing"

	"golang.org/x/time/rate"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/figures"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

// throttled is a gateway that sends so many bytes a second.
func throttled(h http.Handler, bytes int) http.Handler {
	limit := rate.NewLimiter(rate.Limit(bytes), max(throttleStep, bytes/50)) // timers are late by less
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

// p4s is what a fetch makes of the bandwidth of three honest gateways of 300, 100
// and 10 MB/s, beside one that lies and one that is dead.
func p4s(t *testing.T) {
	from := openStore(t)
	root := mustAdd(t, from, figureFile(t), ipfsstore.AddOptions{}).Root
	const honest = 410e6
	var shares []float64
	for range figures.Rounds {
		s := openStore(
			t, storetest.Gateway(t, "fast", throttled(from.Gateway(), 300e6)), storetest.Gateway(t, "middling", throttled(from.Gateway(), 100e6)),
			storetest.Gateway(t, "slow", throttled(from.Gateway(), 10e6)), storetest.Lying(gateway(t, "liar", from)), storetest.Dead("dead"),
		)
		f, err := s.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		shares = append(shares, 100*figureBytes/(f.Timings.Total-f.Timings.Sync).Seconds()/honest)
		for _, st := range f.Sources {
			if st.Name == "liar" && (!st.Banned || st.Blocks > 0) {
				t.Errorf("the liar: %+v", st)
			}
		}
		if err := s.Remove(t.Context(), root, true); err != nil {
			t.Fatal(err)
		}
	}
	figures.AtLeast("P4s", figures.Median(shares), "percent_of_five_sources", 95)
}
