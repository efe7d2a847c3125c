package p2p

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ipfs/go-cid"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func rawCID(t testing.TB, data []byte) cid.Cid {
	t.Helper()
	sum, err := mh.Sum(data, mh.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	return cid.NewCidV1(cid.Raw, sum)
}

// sharing is a server of one small shared model, and the model's root and leaf.
func sharing(t testing.TB) (s *blobServer, root, leaf cid.Cid) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := ipfsstore.Open(filepath.Join(t.TempDir(), "store"), ipfsstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	a, err := store.Add(t.Context(), dir, ipfsstore.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Share(t.Context(), a.Root, true); err != nil {
		t.Fatal(err)
	}
	if root, err = cid.Decode(a.Root); err != nil {
		t.Fatal(err)
	}
	return newBlobServer(store.Shared(), nil, slog.New(slog.DiscardHandler)), root, rawCID(t, []byte("hello\n"))
}

// A conversation is what a client says, and what it is answered.
type conversation struct {
	io.Reader
	bytes.Buffer
}

func (c *conversation) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func TestServe_answersInOrder(t *testing.T) {
	s, root, leaf := sharing(t)
	missing := rawCID(t, []byte("nobody has this"))
	var in bytes.Buffer
	for _, q := range []request{{kindHello, nil}, {kindBlocks, []cid.Cid{leaf, missing, root}}, {kindDAG, []cid.Cid{root}}, {kindDAG, []cid.Cid{leaf}}, {kindDAG, []cid.Cid{missing}}} {
		in.Write(q.encode())
	}
	c := &conversation{Reader: &in}
	if err := s.serve(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var got []string
	r := bufio.NewReader(&c.Buffer)
	for range 5 {
		err := readAnswer(r, nil, func(p reply) error {
			name := map[cid.Cid]string{root: "root", leaf: "leaf", missing: "missing"}[p.cid]
			if p.kind == replyBlock && !matches(p.cid, p.data) {
				t.Errorf("wrong bytes of %s", name)
			}
			got = append(got, string(p.kind)+" "+name)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, "end")
	}
	want := []string{"end", "B leaf", "A missing", "B root", "end", "B root", "end", "B leaf", "end", "A missing", "end"}
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("reply %d is %q, want %q", i, got[i], want[i])
		}
	}
}

// What claims to be large is refused before memory is taken for it.
func TestReadFrame_caps(t *testing.T) {
	for _, n := range []uint64{0, maxRequest + 1, 1 << 40, 1 << 63} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readFrame(bufio.NewReader(bytes.NewReader(binary.AppendUvarint(nil, n))), nil, maxRequest)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, errFrame) {
			t.Errorf("%d bytes: %v, want errFrame", n, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%d bytes: %d were taken", n, took)
		}
	}
}

func TestDecodeRequest_refuses(t *testing.T) {
	c := rawCID(t, nil)
	many := make([]cid.Cid, maxCIDs+1)
	for i := range many {
		many[i] = c
	}
	for name, q := range map[string]request{
		"too many": {kindBlocks, many}, "blocks of none": {kindBlocks, nil}, "two roots": {kindDAG, []cid.Cid{c, c}},
		"hello with a CID": {kindHello, []cid.Cid{c}}, "no such kind": {'z', nil},
	} {
		frame := q.encode()
		_, used := binary.Uvarint(frame)
		if _, err := decodeRequest(frame[used:]); !errors.Is(err, errFrame) {
			t.Errorf("%s: %v, want errFrame", name, err)
		}
	}
}

// Whatever a peer sends, the server ends without a panic, takes no more memory
// than its frames may, and gives nothing but what is shared.
func FuzzServe(f *testing.F) {
	s, root, leaf := sharing(f)
	f.Add(request{kindBlocks, []cid.Cid{leaf, root}}.encode())
	f.Add(append(request{kindHello, nil}.encode(), request{kindDAG, []cid.Cid{root}}.encode()...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add([]byte{3, 'b', 0xff, 0x03})
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &conversation{Reader: bytes.NewReader(in)}
		_ = s.serve(t.Context(), c) // any error will do
		if c.Len() > 64*len(in)+64 {
			t.Errorf("%d bytes made it answer %d", len(in), c.Len())
		}
	})
}

// Whatever a peer answers, the client ends without a panic and believes only
// what has its hash.
func FuzzAnswer(f *testing.F) {
	leaf := rawCID(f, []byte("hello\n"))
	seed := func(write func(w *bufio.Writer) error) {
		var b bytes.Buffer
		w := bufio.NewWriter(&b)
		if err := errors.Join(write(w), w.Flush()); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	seed(func(w *bufio.Writer) error {
		return errors.Join(writeReply(w, replyBlock, leaf, []byte("hello\n")), writeReply(w, replyEnd, cid.Undef, nil))
	})
	seed(func(w *bufio.Writer) error { return writeReply(w, replyAbsent, leaf, nil) })
	seed(func(w *bufio.Writer) error { return writeReply(w, replyError, cid.Undef, []byte("no")) })
	f.Fuzz(func(t *testing.T, in []byte) {
		taken := 0
		_ = readAnswer(bufio.NewReader(bytes.NewReader(in)), nil, func(r reply) error { // any error will do
			if taken += len(r.data); taken > len(in) {
				t.Errorf("%d bytes of data in %d", taken, len(in))
			}
			_ = r.fault()
			_ = r.kind == replyBlock && matches(r.cid, r.data)
			return nil
		})
	})
}
