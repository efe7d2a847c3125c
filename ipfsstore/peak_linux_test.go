package ipfsstore_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

const maxPeak = 200 << 20 // bytes of memory

func init() { childJobs["peak"] = childPeak } // elsewhere nobody says what it takes

// childPeak adds a folder, or fetches a root, and prints what memory that took.
func childPeak(f []string) error {
	job, dir, gateway, what := f[0], f[1], f[2], f[3]
	s, err := childStore(dir, gateway, "")
	if err != nil {
		return err
	}
	var a ipfsstore.Artifact
	if job == "add" {
		a, err = s.Add(context.Background(), what, ipfsstore.AddOptions{})
	} else {
		var got ipfsstore.Fetched
		got, err = s.Fetch(context.Background(), what, ipfsstore.FetchOptions{})
		a = got.Artifact
	}
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println("peak", strings.Fields(after)[0], a.Root)
	return nil
}

// peakOf has a process of this program without the race detector, which takes
// memory of its own, do a job. It returns the root.
func peakOf(t *testing.T, program string, args ...string) string {
	t.Helper()
	p := startProgram(t, program, append([]string{"peak"}, args...)...)
	var kib int64
	var root string
	for p.lines.Scan() {
		if _, err := fmt.Sscanf(p.lines.Text(), "peak %d %s", &kib, &root); err != nil && p.lines.Text() != "end: <nil>" {
			t.Fatal(p.lines.Text())
		}
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d MiB", args[0], kib>>10)
	if kib == 0 || kib<<10 > maxPeak {
		t.Errorf("%s took %d KiB of memory, at most %d are allowed", args[0], kib, maxPeak>>10)
	}
	return root
}

func withoutRace(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "test")
	data, err := testProgram()
	if err == nil {
		err = os.WriteFile(out, data, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// testProgram builds this program once.
var testProgram = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "peak-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "test")
	if text, err := exec.Command("go", "test", "-c", "-o", out, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return os.ReadFile(out)
})

func TestPeak_manyFiles(t *testing.T) {
	t.Parallel() // it takes long, and waits much
	program, folder := withoutRace(t), t.TempDir()
	files := map[string][]byte{}
	for i := range times(10_000) {
		files[fmt.Sprintf("%d/file-%d.txt", i%7, i)] = fmt.Appendf(nil, "file %d\n", i)
	}
	writeTree(t, folder, files)
	store := filepath.Join(t.TempDir(), "store")
	root := peakOf(t, program, "add", store, "http://127.0.0.1:1", folder)
	srv := httptest.NewServer(openStoreIn(t, store).Gateway())
	defer srv.Close()
	if got := peakOf(t, program, "fetch", filepath.Join(t.TempDir(), "store"), srv.URL, root); got != root {
		t.Errorf("fetched %s", got)
	}
}

// A generated is a file that is made as it is read: chunk i is what a generator
// with the seed i says, so that no two are the same.
type generated struct {
	chunks int
	leaves map[string]int    // by CID
	nodes  map[string][]byte // by CID
	root   cid.Cid
}

const genChunk = 1 << 20

var genBuffers = sync.Pool{New: func() any { b := make([]byte, genChunk); return &b }}

func fillChunk(i int, buf []byte) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(i))
	_, _ = rand.NewChaCha8(seed).Read(buf) // never fails
}

// newGenerated makes a file of so many chunks, as the default profile has it.
func newGenerated(t *testing.T, chunks int) *generated {
	t.Helper()
	g := &generated{chunks: chunks, leaves: map[string]int{}, nodes: map[string][]byte{}}
	buf := make([]byte, genChunk)
	level := make([]*ipld.Link, chunks)
	sizes := make([]uint64, chunks)
	for i := range chunks {
		fillChunk(i, buf)
		c := storetest.CID(buf)
		g.leaves[c.String()] = i
		level[i], sizes[i] = &ipld.Link{Cid: c, Size: genChunk}, genChunk
	}
	for len(level) > 1 {
		var up []*ipld.Link
		var upSizes []uint64
		for at := 0; at < len(level); at += 1024 {
			end := min(at+1024, len(level))
			n := unixfs.NewFSNode(unixfs.TFile)
			for _, s := range sizes[at:end] {
				n.AddBlockSize(s)
			}
			pn := merkledag.NodeWithData(must(n.GetBytes())(t))
			if err := pn.SetCidBuilder(cid.V1Builder{Codec: cid.DagProtobuf, MhType: 0x12}); err != nil {
				t.Fatal(err)
			}
			for _, l := range level[at:end] {
				if err := pn.AddRawLink("", l); err != nil {
					t.Fatal(err)
				}
			}
			g.nodes[pn.Cid().String()] = pn.RawData()
			up, upSizes = append(up, &ipld.Link{Cid: pn.Cid(), Size: must(pn.Size())(t)}), append(upSizes, n.FileSize())
		}
		level, sizes = up, upSizes
	}
	g.root = level[0].Cid
	return g
}

// ServeHTTP makes it a trustless gateway of that file.
func (g *generated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/ipfs/")
	w.Header().Set("Content-Type", "application/vnd.ipld.raw")
	if node, ok := g.nodes[name]; ok {
		_, _ = w.Write(node) // a client that is gone needs none
		return
	}
	i, ok := g.leaves[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	buf := genBuffers.Get().(*[]byte) // the pool holds nothing else
	defer genBuffers.Put(buf)
	fillChunk(i, *buf)
	_, _ = w.Write(*buf) // as above
}

// copyTo writes the whole file.
func (g *generated) copyTo(w io.Writer) error {
	buf := make([]byte, genChunk)
	for i := range g.chunks {
		fillChunk(i, buf)
		if _, err := w.Write(buf); err != nil {
			return err
		}
	}
	return nil
}

func TestPeak_largeFile(t *testing.T) {
	t.Parallel() // it takes long, and waits much
	program, dir := withoutRace(t), t.TempDir()
	g := newGenerated(t, times(8<<10)) // more than the memory that is allowed
	srv := httptest.NewServer(g)
	defer srv.Close()
	fetched := filepath.Join(dir, "fetched")
	root := peakOf(t, program, "fetch", fetched, srv.URL, g.root.String())
	if root != g.root.String() {
		t.Errorf("fetched %s", root)
	}
	if err := os.RemoveAll(fetched); err != nil { // there may not be room for two
		t.Fatal(err)
	}
	f := must(os.Create(filepath.Join(dir, "large.bin")))(t)
	if err := g.copyTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := peakOf(t, program, "add", filepath.Join(dir, "added"), srv.URL, f.Name()); got != root {
		t.Errorf("added as %s, want %s", got, root)
	}
}
