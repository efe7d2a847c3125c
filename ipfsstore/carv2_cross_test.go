package ipfsstore_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"

	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	car "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/blockstore"
	"github.com/multiformats/go-multicodec"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// What the reference reader makes of our CARs of both versions: the same root,
// the same blocks, and a sound index.
func TestExport_readByReference(t *testing.T) {
	t.Parallel()
	s, dir := openStore(t), modelFolder(t)
	for _, profile := range ipfsstore.Profiles() {
		a := mustAdd(t, s, dir, ipfsstore.AddOptions{Profile: profile})
		want := carBlocks(t, s, a.Root)
		var one, two bytes.Buffer
		if err := errors.Join(s.Export(t.Context(), a.Root, &one), s.ExportV2(t.Context(), a.Root, &two)); err != nil {
			t.Fatal(err)
		}
		for version, data := range map[uint64][]byte{1: one.Bytes(), 2: two.Bytes()} {
			got := referenceBlocks(t, data, version, a.Root)
			if len(got) != len(want) {
				t.Errorf("version %d: %d blocks, want %d", version, len(got), len(want))
			}
			for c, b := range got {
				if !bytes.Equal(want[c], b) {
					t.Errorf("version %d: block %s differs", version, c)
				}
			}
		}
		referenceIndex(t, two.Bytes(), want)
	}
}

func referenceBlocks(t *testing.T, data []byte, version uint64, root string) map[cid.Cid][]byte {
	t.Helper()
	r, err := car.NewBlockReader(bytes.NewReader(data)) // it hashes what it reads
	if err != nil {
		t.Fatal(err)
	}
	if r.Version != version || len(r.Roots) != 1 || r.Roots[0].String() != root {
		t.Errorf("version %d, roots %v", r.Version, r.Roots)
	}
	out := make(map[cid.Cid][]byte)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out[b.Cid()] = b.RawData()
	}
}

// referenceIndex finds every block by the index.
func referenceIndex(t *testing.T, data []byte, want map[cid.Cid][]byte) {
	t.Helper()
	r, err := car.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	stats, err := r.Inspect(true)
	if err != nil || !stats.Header.HasIndex() || stats.IndexCodec != multicodec.CarMultihashIndexSorted || stats.BlockCount != uint64(len(want)) {
		t.Errorf("%+v, %v", stats, err)
	}
	store, err := blockstore.NewReadOnly(bytes.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	for c, b := range want {
		if got, err := store.Get(t.Context(), c); err != nil || !bytes.Equal(got.RawData(), b) {
			t.Errorf("block %s by the index: %v", c, err)
		}
	}
}

// What the reference writer writes, with the blocks in any order, is imported.
func TestImport_writtenByReference(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	id, err := cid.Decode(root)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/reference.car"
	w, err := blockstore.OpenReadWrite(path, []cid.Cid{id})
	if err != nil {
		t.Fatal(err)
	}
	all := carBlocks(t, from, root)
	order := make([]cid.Cid, 0, len(all))
	for c := range all {
		order = append(order, c)
	}
	slices.SortFunc(order, func(a, b cid.Cid) int { return bytes.Compare(a.Bytes(), b.Bytes()) })
	for _, c := range order {
		b, err := blocks.NewBlockWithCid(all[c], c)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finalize(); err != nil {
		t.Fatal(err)
	}
	f := must(os.Open(path))(t)
	defer f.Close()
	a, err := openStore(t).Import(t.Context(), f, ipfsstore.AddOptions{Name: "in"})
	if err != nil || a.Root != root {
		t.Fatalf("%s, %v", a.Root, err)
	}
	sameTree(t, a, modelFiles())
}
