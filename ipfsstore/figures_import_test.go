//go:build figures && linux

package ipfsstore_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/go-cid"
	flatfs "github.com/ipfs/go-ds-flatfs"
	ipld "github.com/ipfs/go-ipld-format"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/internal/figures"
)

const figureBytes = 512 << 20

// figureFile writes a file of that many bytes that don't repeat, and leaves it
// in memory.
func figureFile(t *testing.T) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "model.bin")
	f := must(os.Create(p))(t)
	buf := make([]byte, genChunk)
	for i := range figureBytes / genChunk {
		fillChunk(i, buf)
		must(f.Write(buf))(t)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return p
}

// p3 is what an import of 512 MiB that are in memory does a second, over what
// the processors hash a second, and over what others import.
func p3(t *testing.T) {
	file := figureFile(t)
	data := must(os.ReadFile(file))(t)
	kubo := newKubo(t)
	var ours, hash, boxo, theirs []float64
	var disk int64
	for range figures.Rounds {
		for range 3 { // they are short beside the others
			hash = append(hash, figures.Seconds(t, func() error { hashAll(data); return nil }))
			dir := filepath.Join(t.TempDir(), "store")
			s := openStoreIn(t, dir)
			ours = append(ours, figures.Seconds(t, func() error {
				_, err := s.Add(t.Context(), file, ipfsstore.AddOptions{})
				return err
			}))
			disk = ownDisk(t, dir, file)
		}
		boxo = append(boxo, figures.Seconds(t, func() error { return boxoImport(t, file) }))
		if kubo != nil {
			theirs = append(theirs, kubo(file))
		}
	}
	mib := func(s []float64) float64 { return figureBytes / (1 << 20) / figures.Median(s) }
	figures.Note("P3 import %.0f MiB/s, sha256 of %d cores %.0f MiB/s, boxo with flatfs %.0f MiB/s", mib(ours), runtime.GOMAXPROCS(0), mib(hash), mib(boxo))
	figures.AtLeast("P3", figures.Median(hash)/figures.Median(ours), "ratio_to_sha256", 0.85)
	figures.AtLeast("P3b", figures.Median(boxo)/figures.Median(ours), "ratio_to_boxo", 4)
	figures.AtMost("P3d", 100*float64(disk)/figureBytes, "percent_of_disk", 0.1)
	if kubo == nil {
		figures.Absent("P3k", "ratio", ">=4", "no_KUBO_BIN")
		return
	}
	figures.Note("P3k ipfs add %.0f MiB/s", mib(theirs))
	figures.AtLeast("P3k", figures.Median(theirs)/figures.Median(ours), "ratio", 4)
}

// hashAll hashes all of data in leaves, on all processors.
func hashAll(data []byte) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for at := next.Add(genChunk) - genChunk; at < int64(len(data)); at = next.Add(genChunk) - genChunk {
				sha256.Sum256(data[at : at+genChunk])
			}
		})
	}
	wg.Wait()
}

// ownDisk is what a store takes beside the file that it shares with the user.
func ownDisk(t *testing.T, dir, file string) int64 {
	t.Helper()
	var sum int64
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || sameFile(t, p, file) {
			return err
		}
		fi, err := e.Info()
		sum += fi.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// boxoImport imports a file by the reference's importer into its block store,
// synced, in the same profile.
func boxoImport(t *testing.T, file string) error {
	dir := filepath.Join(t.TempDir(), "flatfs")
	ds, err := flatfs.CreateOrOpen(dir, flatfs.NextToLast(2), true)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bs := blockstore.NewBlockstore(ds, blockstore.NoPrefix())
	dag := merkledag.NewDAGService(blockservice.New(bs, offline.Exchange(bs)))
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	batch := ipld.NewBufferedDAG(context.Background(), dag) //nolint:usetesting // as Kubo does
	params := helpers.DagBuilderParams{Maxlinks: 1024, RawLeaves: true, CidBuilder: cid.V1Builder{Codec: cid.DagProtobuf, MhType: mh.SHA2_256}, Dagserv: batch}
	db, err := params.New(chunk.NewSizeSplitter(io.Reader(f), genChunk))
	if err != nil {
		return err
	}
	if _, err := balanced.Layout(db); err != nil {
		return err
	}
	if err := batch.Commit(); err != nil {
		return err
	}
	return ds.Close()
}

// newKubo returns what times `ipfs add` of the program in KUBO_BIN; nil if there
// is none.
func newKubo(t *testing.T) func(file string) float64 {
	t.Helper()
	program := os.Getenv("KUBO_BIN")
	if program == "" {
		return nil
	}
	n := 0
	return func(file string) float64 {
		n++
		env := append(os.Environ(), "IPFS_PATH="+filepath.Join(t.TempDir(), fmt.Sprint(n)))
		run := func(args ...string) error {
			cmd := exec.CommandContext(t.Context(), program, args...)
			cmd.Env = env
			return cmd.Run()
		}
		if err := run("init", "--profile=test,unixfs-v1-2025"); err != nil {
			t.Fatal(err)
		}
		return figures.Seconds(t, func() error { return run("add", "-q", file) })
	}
}
