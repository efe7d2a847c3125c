package ipfsstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func export(t testing.TB, s *ipfsstore.Store, root string) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := s.Export(t.Context(), root, &buf); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// sections cuts a CAR into its header and its blocks, lengths included.
func sections(t testing.TB, car []byte) [][]byte {
	t.Helper()
	var out [][]byte
	for len(car) > 0 {
		n, used := binary.Uvarint(car)
		if used <= 0 || n > uint64(len(car)-used) {
			t.Fatal("malformed CAR")
		}
		out = append(out, car[:used+int(n)])
		car = car[used+int(n):]
	}
	return out
}

func carBlocks(t testing.TB, s *ipfsstore.Store, root string) map[cid.Cid][]byte {
	t.Helper()
	out := make(map[cid.Cid][]byte)
	for _, sec := range sections(t, export(t, s, root))[1:] {
		_, used := binary.Uvarint(sec)
		n, c, err := cid.CidFromBytes(sec[used:])
		if err != nil {
			t.Fatal(err)
		}
		out[c] = sec[used+n:]
	}
	return out
}

func TestCAR_roundTrip(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	car := export(t, from, root)
	s := openStore(t)
	a, err := s.Import(t.Context(), bytes.NewReader(car), ipfsstore.AddOptions{Name: "in"})
	if err != nil || a.Root != root || a.Name != "in" {
		t.Fatalf("%+v, %v", a, err)
	}
	sameTree(t, a, modelFiles())
	if !bytes.Equal(export(t, s, "in"), car) {
		t.Error("exported again, the CAR differs")
	}
	p := filepath.Join(t.TempDir(), "m.car")
	if err := os.WriteFile(p, car, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s = openStore(t)
	if a, err = s.Import(t.Context(), f, ipfsstore.AddOptions{}); err != nil {
		t.Fatal(err)
	}
	sameTree(t, a, modelFiles())
}

func TestCAR_anyOrder(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	secs := sections(t, export(t, from, root))
	rng := seeded(t)
	rng.Shuffle(len(secs)-1, func(i, j int) { secs[i+1], secs[j+1] = secs[j+1], secs[i+1] })
	a, err := openStore(t).Import(t.Context(), bytes.NewReader(bytes.Join(secs, nil)), ipfsstore.AddOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, a, modelFiles())
}

func TestCAR_broken(t *testing.T) {
	t.Parallel()
	from, root := origin(t)
	car := export(t, from, root)
	secs := sections(t, car)
	flip := bytes.Clone(car)
	flip[len(flip)/2] ^= 1
	for name, c := range map[string]struct {
		car  []byte
		want error
	}{
		"empty":         {nil, ipfsstore.ErrInvalidCAR},
		"cut in header": {car[:20], ipfsstore.ErrInvalidCAR},
		"cut in block":  {car[:len(car)-1], ipfsstore.ErrInvalidCAR},
		"no root":       {bytes.Join(append([][]byte{secs[0]}, secs[2:]...), nil), ipfsstore.ErrInvalidCAR},
		"header only":   {secs[0], ipfsstore.ErrInvalidCAR},
		"huge section":  {append(bytes.Clone(secs[0]), 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), ipfsstore.ErrInvalidCAR},
		"zero section":  {append(bytes.Clone(secs[0]), 0), ipfsstore.ErrInvalidCAR},
		"huge header":   {[]byte{0xff, 0xff, 0xff, 0xff, 0x7f}, ipfsstore.ErrInvalidCAR},
		"no CBOR":       {[]byte("\x05hello"), ipfsstore.ErrInvalidCAR},
		"flipped bit":   {flip, ipfsstore.ErrHashMismatch},
	} {
		s := openStore(t)
		if _, err := s.Import(t.Context(), bytes.NewReader(c.car), ipfsstore.AddOptions{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		noFileUnderCID(t, s)
	}
}

func FuzzImport(f *testing.F) {
	small := openStore(f)
	p := filepath.Join(f.TempDir(), "tiny")
	writeTree(f, p, map[string][]byte{"a": []byte("a"), "b/c": []byte("c")})
	f.Add(export(f, small, mustAdd(f, small, p, ipfsstore.AddOptions{}).Root))
	f.Add([]byte("\x05hello"))
	s := openStore(f)
	f.Fuzz(func(t *testing.T, car []byte) {
		a, err := s.Import(t.Context(), io.LimitReader(bytes.NewReader(car), 1<<20), ipfsstore.AddOptions{})
		if err == nil && a.Complete != (len(a.Lost) == 0) {
			t.Errorf("%+v", a)
		}
	})
}
