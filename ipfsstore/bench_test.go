package ipfsstore_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

const benchBytes = 256 << 20

func benchFolder(b *testing.B) string {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "model")
	writeTree(b, dir, map[string][]byte{"model.bin": stream("bench", benchBytes), "config.json": []byte("{}")})
	return dir
}

func BenchmarkAdd(b *testing.B) {
	dir := benchFolder(b)
	b.SetBytes(benchBytes)
	for b.Loop() {
		b.StopTimer()
		s := openStore(b)
		b.StartTimer()
		mustAdd(b, s, dir, ipfsstore.AddOptions{})
	}
}

// BenchmarkFetch fetches over loopback HTTP, from one gateway and from several.
func BenchmarkFetch(b *testing.B) {
	from := openStore(b)
	root := mustAdd(b, from, benchFolder(b), ipfsstore.AddOptions{}).Root
	for _, n := range []int{1, 3} {
		b.Run(fmt.Sprintf("sources=%d", n), func(b *testing.B) {
			var sources []ipfsstore.Source
			for i := range n {
				sources = append(sources, gateway(b, fmt.Sprint(i), from))
			}
			b.SetBytes(benchBytes)
			for b.Loop() {
				b.StopTimer()
				s := openStore(b, sources...)
				b.StartTimer()
				if _, err := s.Fetch(b.Context(), root, ipfsstore.FetchOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen is what every run of a warm model pays.
func BenchmarkOpen(b *testing.B) {
	s := openStore(b)
	mustAdd(b, s, modelFolder(b), ipfsstore.AddOptions{Name: "m"})
	for b.Loop() {
		if _, err := s.Open(b.Context(), "m"); err != nil {
			b.Fatal(err)
		}
	}
}
