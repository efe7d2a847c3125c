package storetest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ipfs/go-cid"
)

// Kubo serves blocks over loopback by the part of Kubo's RPC that fetches them,
// until the test ends, and returns its URL. Like Kubo it wants POST, tells a
// missing block by status 500, and has only what it has when it is asked to be
// offline; it refuses to search.
func Kubo(t testing.TB, blocks map[cid.Cid][]byte) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/v0/block/get", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.Error(w, "405 - Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		c, err := cid.Decode(r.FormValue("arg"))
		if err != nil {
			kuboError(w, "invalid path: "+err.Error())
			return
		}
		if r.FormValue("offline") != "true" {
			t.Error("the node was asked to search a network")
		}
		block, ok := blocks[c]
		if !ok {
			kuboError(w, "block was not found locally (offline): ipld: could not find "+c.String())
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("X-Stream-Output", "1")
		if _, err := w.Write(block); err != nil {
			return // the client is gone
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func kuboError(w http.ResponseWriter, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusInternalServerError)
	_ = json.NewEncoder(w).Encode(map[string]any{"Message": message, "Code": 0, "Type": "error"}) // a client that is gone needs none
}
