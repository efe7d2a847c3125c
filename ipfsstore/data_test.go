package ipfsstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"
	ipld "github.com/ipfs/go-ipld-format"
	carv2 "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/storage"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/fluent/qp"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/node/basicnode"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// car writes the blocks as a CAR with go-car.
func (f forge) car(root cid.Cid) []byte {
	var buf bytes.Buffer
	w, err := storage.NewWritable(&buf, []cid.Cid{root}, carv2.WriteAsCarV1(true))
	for c, block := range f.blocks {
		if err == nil {
			err = w.Put(f.t.Context(), c.KeyString(), block)
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return buf.Bytes()
}

// A dossier is a folder with a document and a file; the document has links to
// the file, to one of two leaves, and to another document.
type dossier struct {
	forge

	folder, document, other, small, large cid.Cid
	leaves                                []cid.Cid
}

func newDossier(t *testing.T) dossier {
	d := dossier{forge: forge{t: t, blocks: make(map[cid.Cid][]byte)}}
	small, one, two := d.raw([]byte("small\n")), d.raw([]byte("one")), d.raw([]byte("two"))
	large := d.file(6, []uint64{3, 3}, one, two)
	other := d.encode(func(m datamodel.MapAssembler) { qp.MapEntry(m, "again", link(small)) })
	document := d.encode(func(m datamodel.MapAssembler) {
		qp.MapEntry(m, "files", qp.Map(2, func(m datamodel.MapAssembler) {
			qp.MapEntry(m, "large", link(large))
			qp.MapEntry(m, "small", link(small))
		}))
		qp.MapEntry(m, "list", qp.List(2, func(l datamodel.ListAssembler) {
			qp.ListEntry(l, qp.Int(1))
			qp.ListEntry(l, link(other))
		}))
		qp.MapEntry(m, "said", qp.String("so"))
	})
	folder := d.dir(named("document", document), named("small", small))
	d.folder, d.document, d.other, d.small, d.large = folder.Cid, document.Cid, other.Cid, small.Cid, large.Cid
	d.leaves = []cid.Cid{one.Cid, two.Cid}
	return d
}

func link(l *ipld.Link) qp.Assemble { return qp.Link(cidlink.Link{Cid: l.Cid}) }

func (f forge) encode(entries func(datamodel.MapAssembler)) *ipld.Link {
	n, err := qp.BuildMap(basicnode.Prototype.Any, -1, entries)
	var buf bytes.Buffer
	if err == nil {
		err = dagcbor.Encode(n, &buf)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return f.document(buf.Bytes())
}

// imported is a store that has the dossier, under the root of one of its blocks.
func (d dossier) imported(root cid.Cid) (*ipfsstore.Store, ipfsstore.Artifact) {
	s := openStore(d.t)
	a, err := s.Import(d.t.Context(), bytes.NewReader(d.car(root)), ipfsstore.AddOptions{})
	if err != nil || !a.Complete || a.Root != root.String() {
		d.t.Fatalf("%+v, %v", a, err)
	}
	return s, a
}

func TestGateway_DAGCBOR(t *testing.T) {
	t.Parallel()
	d := newDossier(t)
	s, _ := d.imported(d.folder)
	below := []cid.Cid{d.other, d.small, d.large, d.leaves[0], d.leaves[1]} // shorter names come first
	document := "/ipfs/" + d.document.String()
	for target, want := range map[string][]cid.Cid{
		document + "?format=car":                                            append([]cid.Cid{d.document}, below...),
		document + "?format=car&dag-scope=entity":                           {d.document},
		document + "?format=car&dag-scope=block":                            {d.document},
		document + "/files/small?format=car":                                {d.document, d.small},
		document + "/files/large?format=car&dag-scope=entity":               {d.document, d.large, d.leaves[0], d.leaves[1]},
		document + "/files/large?format=car&entity-bytes=4:*":               {d.document, d.large, d.leaves[1]},
		document + "/files/large?format=car&dag-scope=block":                {d.document, d.large},
		document + "/list/1/again?format=car":                               {d.document, d.other, d.small},
		"/ipfs/" + d.folder.String() + "?format=car&dag-scope=entity":       {d.folder},
		"/ipfs/" + d.folder.String() + "/document?format=car":               append([]cid.Cid{d.folder, d.document}, below...),
		"/ipfs/" + d.folder.String() + "/document/files/small?format=car":   {d.folder, d.document, d.small},
		"/ipfs/" + d.folder.String() + "?format=car&car-dups=y":             {d.folder, d.document, d.other, d.small, d.large, d.leaves[0], d.leaves[1], d.small, d.small},
		"/ipfs/" + d.folder.String() + "/document?format=car&dag-scope=all": append([]cid.Cid{d.folder, d.document}, below...),
	} {
		r := ask(t, s, http.MethodGet, target)
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", target, r.StatusCode, r.body)
		} else if got := carCIDs(t, r.body); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", target, got, want)
		}
	}
}

func TestGateway_DAGCBORRaw(t *testing.T) {
	t.Parallel()
	d := newDossier(t)
	for _, root := range []cid.Cid{d.folder, d.document} {
		s, _ := d.imported(root)
		for c, block := range d.blocks {
			if r := ask(t, s, http.MethodGet, "/ipfs/"+c.String()+"?format=raw"); root == d.folder && !bytes.Equal(r.body, block) {
				t.Errorf("%s: %d", c, r.StatusCode)
			}
		}
		for path, want := range map[string]int{
			"": http.StatusOK, "/files/small": http.StatusOK, "/list/1": http.StatusOK, "/list/1/again": http.StatusOK,
			"/files": http.StatusNotFound, "/said": http.StatusNotFound, "/none": http.StatusNotFound,
			"/list/2": http.StatusNotFound, "/list/x": http.StatusNotFound, "/files/small/x": http.StatusNotFound,
		} {
			r := ask(t, s, http.MethodGet, "/ipfs/"+d.document.String()+path+"?format=raw")
			if r.StatusCode != want {
				t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
			}
		}
		r := ask(t, s, http.MethodGet, "/ipfs/"+d.document.String()+"/list/1/again?format=raw")
		if roots := r.Header.Get("X-Ipfs-Roots"); roots != strings.Join([]string{d.document.String(), d.other.String(), d.small.String()}, ",") {
			t.Error(roots)
		}
	}
}

// Documents are no files: they travel by CAR and by fetch.
func TestDAGCBOR_travels(t *testing.T) {
	t.Parallel()
	d := newDossier(t)
	for root, files := range map[cid.Cid]int{d.folder: 1, d.document: 0} {
		s, a := d.imported(root)
		if len(a.Files) != files {
			t.Errorf("%d files, want %d", len(a.Files), files)
		}
		want := carBlocks(t, s, a.Root)
		if err := s.ExportFiles(t.Context(), a.Root, filepath.Join(t.TempDir(), "out")); !errors.Is(err, ipfsstore.ErrInvalidDAG) {
			t.Errorf("as files: %v", err)
		}
		to := openStore(t, gateway(t, "first", s))
		f, err := to.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
		if err != nil || !f.Complete {
			t.Fatal(err)
		}
		if got := carBlocks(t, to, a.Root); !maps.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%d blocks came, want %d", len(got), len(want))
		}
		if err := to.Verify(t.Context(), a.Root); err != nil {
			t.Error(err)
		}
	}
}

// What lacks below a document is lacking of the entry that it is.
func TestDAGCBOR_incomplete(t *testing.T) {
	t.Parallel()
	d := newDossier(t)
	whole, _ := d.imported(d.folder)
	for _, lost := range []cid.Cid{d.document, d.other, d.large, d.leaves[1]} {
		part := forge{t, maps.Clone(d.blocks)}
		delete(part.blocks, lost)
		s := openStore(t, gateway(t, "whole", whole))
		a, err := s.Import(t.Context(), bytes.NewReader(part.car(d.folder)), ipfsstore.AddOptions{})
		if err != nil || a.Complete || !slices.Equal(a.Lost, []string{"document"}) {
			t.Errorf("%+v, %v", a, err)
		}
		f, err := s.Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
		if err != nil || !f.Complete {
			t.Errorf("%+v, %v", f, err)
		}
	}
}

// A raw block is a root too: of a file without a name.
func TestImport_rawRoot(t *testing.T) {
	t.Parallel()
	d := newDossier(t)
	s, a := d.imported(d.small)
	if len(a.Files) != 1 || a.Files[0].CID != d.small.String() {
		t.Errorf("%+v", a)
	}
	if r := ask(t, s, http.MethodGet, "/ipfs/"+d.small.String()+"?format=car"); !slices.Equal(carCIDs(t, r.body), []cid.Cid{d.small}) {
		t.Errorf("%d", r.StatusCode)
	}
}

// What is below documents is kept with them, and counts.
func TestUsage_documents(t *testing.T) {
	t.Parallel()
	f := forge{t, make(map[cid.Cid][]byte)}
	var below []*ipld.Link
	for i := range 3 {
		below = append(below, f.raw(stream(fmt.Sprint("below", i), mib)))
	}
	root := f.encode(func(m datamodel.MapAssembler) {
		for i, l := range below {
			qp.MapEntry(m, fmt.Sprint(i), link(l))
		}
	}).Cid
	s := openStore(t)
	a := must(s.Import(t.Context(), bytes.NewReader(f.car(root)), ipfsstore.AddOptions{Name: "documents"}))(t)
	u := must(s.Usage(t.Context()))(t)
	if u.Owned < 3*mib || u.Owned > 4*mib || u.Models[0].Owned != u.Owned {
		t.Errorf("%+v", u)
	}
	for _, l := range below {
		if r := ask(t, s, http.MethodGet, "/ipfs/"+l.Cid.String()+"?format=raw"); !bytes.Equal(r.body, f.blocks[l.Cid]) {
			t.Errorf("%d, %d bytes", r.StatusCode, len(r.body))
		}
	}
	if got := must(s.GC(t.Context(), ipfsstore.GCOptions{}))(t); got.Before != u.Owned || got.After != 0 || len(got.Removed) != 1 || got.Removed[0].Root != a.Root {
		t.Errorf("%+v", got)
	}
}
