package ipfsstore_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// ask sends one request to a store's gateway; headers are "Name: value".
func ask(t *testing.T, s *ipfsstore.Store, method, target string, headers ...string) answer {
	t.Helper()
	req := httptest.NewRequest(method, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return answerOf(s.Gateway(), req, new(bytes.Buffer))
}

// answerOf sends a request to a handler. The answer is good until buf is used again.
func answerOf(h http.Handler, req *http.Request, buf *bytes.Buffer) answer {
	buf.Reset()
	rec := httptest.NewRecorder()
	rec.Body = buf
	h.ServeHTTP(rec, req)
	return answer{rec.Code, rec.Header(), buf.Bytes()}
}

// An answer is what came back.
type answer struct {
	StatusCode int
	Header     http.Header
	body       []byte
}

const rawAccept = "Accept: application/vnd.ipld.raw"

func TestGateway_statuses(t *testing.T) {
	t.Parallel()
	s, root := origin(t)
	none := "bafkreicysg23kiwv34eg2d7qweipxwosdo2py4ldv42nbauguluen5v6am"
	for _, c := range []struct {
		method, target, header string
		want                   int
	}{
		{"GET", "/ipfs/bafkqaaa?format=raw", "", 200},
		{"HEAD", "/ipfs/bafkqaaa?format=raw", "", 200},
		{"GET", "/ipfs/" + root + "?format=raw", "", 200},
		{"GET", "/ipfs/" + root, rawAccept, 200},
		{"GET", "/ipfs/" + root + "/onnx/model.onnx?format=raw", "", 200},
		{"GET", "/ipfs/" + root + "/none?format=raw", "", 404},
		{"GET", "/ipfs/" + root + "/config.json/x?format=raw", "", 404},
		{"GET", "/ipfs/" + root, "", 406},
		{"GET", "/ipfs/" + root, "Accept: text/html", 406},
		{"GET", "/ipfs/" + root + "?format=tar", "", 400},
		{"GET", "/ipfs/" + none + "?format=raw", "", 404},
		{"GET", "/ipfs/" + none + "?format=raw", "Cache-Control: only-if-cached", 412},
		{"GET", "/ipfs/" + root + "?format=raw", "Cache-Control: only-if-cached", 200},
		{"GET", "/ipfs/" + none + "?format=car", "", 404},
		{"GET", "/ipfs/nonsense?format=raw", "", 400},
		{"GET", "/ipfs/baguqeeraiqjw7i2vwntyuekgvulpp2det2kpwt6cd7tx5ayqybqpmhfk76fa?format=raw", "", 400},
		{"GET", "/ipns/x?format=raw", "", 404},
		{"POST", "/ipfs/" + root + "?format=raw", "", 405},
		{"GET", "/ipfs/" + root + "?format=car&dag-scope=some", "", 400},
		{"GET", "/ipfs/" + root + "?format=car&car-version=2", "", 400},
		{"GET", "/ipfs/" + root + "?format=car&car-order=bfs", "", 400},
		{"GET", "/ipfs/" + root + "?format=car&car-dups=m", "", 400},
		{"GET", "/ipfs/" + root + "?format=car&entity-bytes=x", "", 400},
		{"HEAD", "/ipfs/" + root + "?format=car", "", 200},
	} {
		if r := ask(t, s, c.method, c.target, c.header); r.StatusCode != c.want {
			t.Errorf("%s %s (%s): %d %s, want %d", c.method, c.target, c.header, r.StatusCode, r.body, c.want)
		}
	}
}

func TestGateway_rawHeaders(t *testing.T) {
	t.Parallel()
	s, root := origin(t)
	r := ask(t, s, "GET", "/ipfs/"+root+"/onnx?format=raw", "Accept: application/vnd.ipld.car")
	block := r.body
	trail := strings.Split(r.Header.Get("X-Ipfs-Roots"), ",")
	if len(trail) != 2 || trail[0] != root {
		t.Fatal(trail)
	}
	c, err := cid.Decode(trail[1])
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := c.Prefix().Sum(block); err != nil || sum != c {
		t.Errorf("body is not the block %s", c)
	}
	etag := `"` + trail[1] + `.raw"`
	for name, want := range map[string]string{
		"Content-Type":           "application/vnd.ipld.raw",
		"Etag":                   etag,
		"Cache-Control":          "public, max-age=29030400, immutable",
		"X-Content-Type-Options": "nosniff",
		"X-Ipfs-Path":            "/ipfs/" + root + "/onnx",
		"Ipfs-Uri":               "ipfs://" + root + "/onnx",
		"Content-Disposition":    `attachment; filename="` + trail[1] + `.bin"`,
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if r := ask(t, s, "GET", "/ipfs/"+trail[1]+"?format=raw", "If-None-Match: "+etag); r.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", r.StatusCode)
	}
	head := ask(t, s, "HEAD", "/ipfs/"+trail[1]+"?format=raw")
	if head.Header.Get("Content-Length") != strconv.Itoa(len(block)) || len(head.body) > 0 {
		t.Errorf("HEAD: length %s, want %d and no body", head.Header.Get("Content-Length"), len(block))
	}
	part := ask(t, s, "GET", "/ipfs/"+trail[1]+"?format=raw", "Range: bytes=3-9")
	if part.StatusCode != http.StatusPartialContent || !bytes.Equal(part.body, block[3:10]) {
		t.Errorf("Range: %d", part.StatusCode)
	}
}

func TestGateway_nonASCIIPath(t *testing.T) {
	t.Parallel()
	s, dir := openStore(t), filepath.Join(t.TempDir(), "m")
	writeTree(t, dir, map[string][]byte{"größe ✓": []byte("x")})
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	r := ask(t, s, "GET", "/ipfs/"+a.Root+"/gr%C3%B6%C3%9Fe%20%E2%9C%93?format=raw")
	if r.StatusCode != http.StatusOK || r.Header.Get("X-Ipfs-Path") != "" || r.Header.Get("Ipfs-Uri") != "ipfs://"+a.Root+"/gr%C3%B6%C3%9Fe%20%E2%9C%93" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
}

// carCIDs are the CIDs in a CAR's order, each checked against its block.
func carCIDs(t *testing.T, car []byte) []cid.Cid {
	t.Helper()
	var out []cid.Cid
	for _, sec := range sections(t, car)[1:] {
		_, used := binary.Uvarint(sec)
		n, c, err := cid.CidFromBytes(sec[used:])
		if err != nil {
			t.Fatal(err)
		}
		if sum, err := c.Prefix().Sum(sec[used+n:]); err != nil || sum != c {
			t.Errorf("block %s has other bytes", c)
		}
		out = append(out, c)
	}
	return out
}

func TestGateway_cars(t *testing.T) {
	t.Parallel()
	s, root := origin(t)
	const leaves = 6 // of the model, once
	for _, c := range []struct {
		query  string
		blocks int
	}{
		{"/onnx?format=car", 2 + 1 + leaves},
		{"?format=car&dag-scope=block", 1},
		{"?format=car&dag-scope=entity", 1},
		{"/onnx?format=car&dag-scope=block", 2},
		{"/onnx/model.onnx?format=car&dag-scope=block", 3},
		{"/onnx/model.onnx?format=car&dag-scope=entity", 3 + leaves},
		{"/onnx?format=car&car-dups=y", 2 + 2*(1+leaves)},
		{"/onnx/model.onnx?format=car&entity-bytes=0:*", 3 + leaves},
		{"/onnx/model.onnx?format=car&entity-bytes=0:0", 3 + 1},
		{"/onnx/model.onnx?format=car&entity-bytes=1048575:1048576", 3 + 2},
		{"/onnx/model.onnx?format=car&entity-bytes=-1:*", 3 + 1},
		{"/onnx/model.onnx?format=car&entity-bytes=-20:-17", 3 + 2},
		{"/onnx/model.onnx?format=car&entity-bytes=99999999:*", 3},
		{"/onnx?format=car&entity-bytes=0:10", 2},
		{"/config.json?format=car", 2},
	} {
		r := ask(t, s, "GET", "/ipfs/"+root+c.query)
		cids := carCIDs(t, r.body)
		if r.StatusCode != http.StatusOK || len(cids) != c.blocks {
			t.Errorf("%s: %d, %d blocks, want %d", c.query, r.StatusCode, len(cids), c.blocks)
		}
		if cids[0].String() != root {
			t.Errorf("%s: begins with %s", c.query, cids[0])
		}
	}
	r := ask(t, s, "GET", "/ipfs/"+root, "Accept: application/vnd.ipld.car;version=1;order=dfs;dups=y")
	if got := r.Header.Get("Content-Type"); got != "application/vnd.ipld.car; version=1; order=dfs; dups=y" {
		t.Error(got)
	}
	if r.Header.Get("Accept-Ranges") != "none" || r.Header.Get("Etag") == "" {
		t.Error(r.Header)
	}
}

func TestGateway_shardedFolder(t *testing.T) {
	t.Parallel()
	dir, s := filepath.Join(t.TempDir(), "many"), openStore(t)
	files := map[string][]byte{}
	for i := range 1500 {
		files[fmt.Sprintf("%0200d", i)] = []byte{byte(i)}
	}
	writeTree(t, dir, files)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	for name, data := range files {
		if got := ask(t, s, "GET", "/ipfs/"+a.Root+"/"+name+"?format=raw").body; !bytes.Equal(got, data) {
			t.Fatalf("%s: %q, want %q", name, got, data)
		}
		break
	}
	entity := len(carCIDs(t, ask(t, s, "GET", "/ipfs/"+a.Root+"?format=car&dag-scope=entity").body))
	all := len(carCIDs(t, ask(t, s, "GET", "/ipfs/"+a.Root+"?format=car").body))
	if entity < 100 || all != entity+256 {
		t.Errorf("%d blocks of the folder, %d in all; want 256 more, as there are so many contents", entity, all)
	}
	f, err := openStore(t, gateway(t, "first", s)).Fetch(t.Context(), a.Root, ipfsstore.FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sameTree(t, f.Artifact, files)
}

// A file that has changed is not served; the rest of its model is.
func TestGateway_servesOnlyWhatIsRight(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	leaf := "/ipfs/" + leafOf(modelFiles()["tokenizer.json"], 0) + "?format=raw"
	if r := ask(t, s, "GET", leaf); r.StatusCode != http.StatusOK {
		t.Fatal(r.StatusCode)
	}
	editInPlace(t, filepath.Join(dir, "tokenizer.json"))
	other := "/ipfs/" + leafOf(modelFiles()["config.json"], 0) + "?format=raw"
	for target, want := range map[string]int{leaf: 404, "/ipfs/" + a.Root + "?format=raw": 200, other: 200} {
		if r := ask(t, s, "GET", target); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, r.StatusCode, want)
		}
	}
	if _, err := s.Open(t.Context(), a.Root); !errors.Is(err, ipfsstore.ErrModelChanged) {
		t.Errorf("%v, want ErrModelChanged", err)
	}
}

func TestGateway_abortsABrokenCAR(t *testing.T) {
	t.Parallel()
	dir, s := modelFolder(t), openStore(t)
	a := mustAdd(t, s, dir, ipfsstore.AddOptions{})
	if r := ask(t, s, "GET", "/ipfs/"+a.Root+"?format=raw"); r.StatusCode != http.StatusOK {
		t.Fatal(r.StatusCode)
	}
	editInPlace(t, filepath.Join(dir, "tokenizer.json"))
	srv := httptest.NewServer(s.Gateway())
	defer srv.Close()
	r, err := http.Get(srv.URL + "/ipfs/" + a.Root + "?format=car")
	if err != nil {
		return // not even a status: as good
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err == nil {
		t.Error("a CAR without all its blocks looks whole")
	}
}
