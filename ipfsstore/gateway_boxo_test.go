package ipfsstore_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange/offline"
	boxo "github.com/ipfs/boxo/gateway"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	ds "github.com/ipfs/go-datastore"
	dssync "github.com/ipfs/go-datastore/sync"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// boxoGateway is boxo's gateway of what a store has of some roots.
func boxoGateway(t *testing.T, s *ipfsstore.Store, roots ...string) http.Handler {
	t.Helper()
	bs := blockstore.NewBlockstore(dssync.MutexWrap(ds.NewMapDatastore()))
	for _, root := range roots {
		for c, data := range carBlocks(t, s, root) {
			if err := bs.Put(t.Context(), must(blocks.NewBlockWithCid(data, c))(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
	bs = blockstore.NewIdStore(bs)
	backend := must(boxo.NewBlocksBackend(blockservice.New(bs, offline.Exchange(bs))))(t)
	return boxo.NewHandler(boxo.Config{DeserializedResponses: true}, backend) // else it refuses paths to raw blocks
}

// gatewayCases are the groups of the conformance suite of gateways that are about
// what an answer holds, as requests for two roots: a model, and a folder that is
// sharded and has files of several blocks. RawRanges and FormatPrecedence have
// tests of their own. Identity blocks are left out: boxo puts none into CARs.
func gatewayCases(model, shards string) map[string][]string {
	files := []string{
		model, model + "/config.json", model + "/empty", model + "/onnx", model + "/onnx/model.onnx", model + "/onnx/twin.onnx",
		shards, shards + "/" + shardEntry(3), shards + "/big", shards + "/sub", shards + "/sub/leaf",
	}
	groups := map[string][]string{}
	add := func(group, query string, paths ...string) {
		for _, p := range paths {
			groups[group] = append(groups[group], "/ipfs/"+p+query)
		}
	}
	add("Raw", "?format=raw", files...)
	add("Raw", "?format=raw", model+"/none", model+"/config.json/below", shards+"/none")
	add("CarPathing", "?format=car&car-dups=n", files...)
	add("DagScopeBlock", "?format=car&car-dups=n&dag-scope=block", files...)
	add("DagScopeEntity", "?format=car&car-dups=n&dag-scope=entity", files...)
	add("DagScopeAll", "?format=car&car-dups=n&dag-scope=all", files...)
	for _, span := range []string{
		"0:*", "0:0", "0:1023", "5:*", "1048575:1048576", "1048576:2097151", "-1:*", "-20:-17", "-2097152:-1048577",
		"99999999:*", "0:-1", "1048576:-1048576", "-99999999:*", "3145728:3145728",
	} {
		add("EntityBytes", "?format=car&car-dups=n&dag-scope=entity&entity-bytes="+span, model+"/onnx/model.onnx", model+"/config.json", shards+"/big", model+"/onnx")
	}
	for _, order := range []string{"&car-dups=y", "&car-dups=n", "&car-order=dfs&car-dups=y", "&car-order=dfs&car-dups=n"} {
		add("OrderAndDuplicates", "?format=car"+order, model, model+"/onnx", shards+"/big")
	}
	return groups
}

func shardEntry(i int) string { return fmt.Sprintf("%0200d", i) }

// What our gateway answers is what boxo's does: the status, and the blocks in
// their order.
func TestGateway_sameAsBoxo(t *testing.T) {
	t.Parallel()
	s, model := origin(t)
	dir := filepath.Join(memDir(t), "many")
	files := map[string][]byte{"big": stream("big", 3<<20+5), "sub/leaf": []byte("leaf"), "sub/big": stream("big", 3<<20+5)}
	for i := range 1500 {
		files[shardEntry(i)] = []byte{byte(i)}
	}
	writeTree(t, dir, files)
	shards := mustAdd(t, s, dir, ipfsstore.AddOptions{}).Root
	ours, theirs := s.Gateway(), boxoGateway(t, s, model, shards)
	var bodies [2]bytes.Buffer // large ones: what it takes to make them anew is most of it all
	for group, targets := range gatewayCases(model, shards) {
		t.Run(group, func(t *testing.T) {
			for _, target := range targets {
				req := httptest.NewRequest(http.MethodGet, target, nil)
				sameAnswer(t, answerOf(ours, req, &bodies[0]), answerOf(theirs, req, &bodies[1]), target)
			}
		})
	}
}

func sameAnswer(t *testing.T, ours, theirs answer, target string) {
	t.Helper()
	if ours.StatusCode != theirs.StatusCode {
		t.Errorf("%s: %d, boxo answers %d", target, ours.StatusCode, theirs.StatusCode)
		return
	}
	if theirs.StatusCode != http.StatusOK {
		return
	}
	for _, name := range []string{"Content-Type", "X-Ipfs-Roots", "X-Content-Type-Options"} {
		if got, want := ours.Header.Get(name), theirs.Header.Get(name); got != want {
			t.Errorf("%s: %s %q, boxo's %q", target, name, got, want)
		}
	}
	if ours.Header.Get("Content-Type") == "application/vnd.ipld.raw" {
		if !bytes.Equal(ours.body, theirs.body) {
			t.Errorf("%s: %d bytes, boxo has %d others", target, len(ours.body), len(theirs.body))
		}
		return
	}
	got, want := texts(carCIDs(t, ours.body)), texts(carCIDs(t, theirs.body))
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d blocks\n%q\nboxo has %d\n%q", target, len(got), got, len(want), want)
	}
}

func texts(cids []cid.Cid) []string {
	out := make([]string, len(cids))
	for i, c := range cids {
		out[i] = c.String()
	}
	return out
}
