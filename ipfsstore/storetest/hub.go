package storetest

import (
	"bytes"
	"cmp"
	"crypto/sha1" //nolint:gosec // git's name for a blob and a commit
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/hub"
)

// A Hub speaks the part of a Hugging Face hub's API that models are fetched by:
// revisions, trees page by page, files, and large ones on another server.
type Hub struct {
	URL    string
	Served atomic.Int64 // bytes of files that were sent
	Asked  atomic.Int64 // requests

	t        testing.TB
	store    *httptest.Server // of the large files
	token    string           // "": anyone may ask
	download func(http.Handler) http.Handler

	mu      sync.Mutex                   // guards all below
	commits map[string]map[string][]byte // REPO@COMMIT -> files
	heads   map[string]string            // REPO@REVISION -> commit
}

// HubOptions say how a [Hub] differs from an open and honest one.
type HubOptions struct {
	Token    string                          // without which nobody gets anything
	Download func(http.Handler) http.Handler // stands before the server of large files
}

// HubAt returns the hub at url, which is asked as nobody.
func HubAt(url string) (ipfsstore.Origin, error) { return hub.New(hub.Options{Endpoint: url}) }

// Origin returns the hub as a store asks it, as nobody.
func (h *Hub) Origin() ipfsstore.Origin {
	h.t.Helper()
	o, err := HubAt(h.URL)
	if err != nil {
		h.t.Fatal(err)
	}
	return o
}

const (
	hubPage  = 3    // entries of a tree's page
	hubLarge = 1000 // bytes from which a file is one of the other server's
)

// NewHub serves a hub over loopback until the test ends. The test fails if the
// server of large files is shown a token.
func NewHub(t testing.TB, o HubOptions) *Hub {
	t.Helper()
	h := &Hub{t: t, token: o.Token, download: o.Download, commits: make(map[string]map[string][]byte), heads: make(map[string]string)}
	if h.download == nil {
		h.download = func(next http.Handler) http.Handler { return next }
	}
	h.store = httptest.NewServer(h.download(http.HandlerFunc(h.large)))
	t.Cleanup(h.store.Close)
	api, mux := http.NewServeMux(), http.NewServeMux()
	api.HandleFunc("GET /api/models/{org}/{name}/revision/{rev}", h.revision)
	api.HandleFunc("GET /api/models/{org}/{name}/tree/{rev}", h.tree)
	mux.HandleFunc("GET /{org}/{name}/resolve/{rev}/{file...}", h.resolve)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Asked.Add(1)
		if h.token != "" && r.Header.Get("Authorization") != "Bearer "+h.token {
			w.Header().Set("X-Error-Code", "GatedRepo")
			w.Header().Set("X-Error-Message", "Access to this model is restricted.")
			http.Error(w, "restricted", http.StatusUnauthorized)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/api/") {
			api.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	h.URL = srv.URL
	return h
}

// Put makes files the newest commit of repo, ORG/NAME, and returns it.
func (h *Hub) Put(repo string, files map[string][]byte) (commit string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := sha1.New() //nolint:gosec // as above
	fmt.Fprintln(sum, repo)
	for _, name := range sortedNames(files) {
		fmt.Fprintln(sum, name, gitHash(files[name]))
	}
	commit = hex.EncodeToString(sum.Sum(nil))
	h.commits[repo+"@"+commit] = files
	h.heads[repo+"@main"], h.heads[repo+"@"+commit] = commit, commit
	return commit
}

func sortedNames(files map[string][]byte) []string {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return names
}

func gitHash(data []byte) string {
	sum := sha1.New() //nolint:gosec // as above
	fmt.Fprintf(sum, "blob %d\x00", len(data))
	sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// find returns the commit and the files that a request is about.
func (h *Hub) find(w http.ResponseWriter, r *http.Request) (commit string, files map[string][]byte) {
	repo := r.PathValue("org") + "/" + r.PathValue("name")
	h.mu.Lock()
	defer h.mu.Unlock()
	commit = h.heads[repo+"@"+r.PathValue("rev")]
	if files = h.commits[repo+"@"+commit]; files == nil {
		w.Header().Set("X-Error-Code", "RepoNotFound")
		http.Error(w, "not found", http.StatusNotFound)
	}
	return commit, files
}

func (h *Hub) revision(w http.ResponseWriter, r *http.Request) {
	commit, files := h.find(w, r)
	if files == nil {
		return
	}
	siblings := []map[string]string{}
	for _, n := range sortedNames(files) {
		siblings = append(siblings, map[string]string{"rfilename": n})
	}
	h.answer(w, map[string]any{"id": r.PathValue("org") + "/" + r.PathValue("name"), "sha": commit, "siblings": siblings})
}

func (h *Hub) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a client that is gone needs none
}

func (h *Hub) tree(w http.ResponseWriter, r *http.Request) {
	_, files := h.find(w, r)
	if files == nil {
		return
	}
	entries := []map[string]any{}
	dirs := map[string]bool{}
	for _, name := range sortedNames(files) {
		if dir, _, ok := strings.Cut(name, "/"); ok && !dirs[dir] {
			dirs[dir] = true
			entries = append(entries, map[string]any{"type": "directory", "oid": gitHash([]byte(dir)), "size": 0, "path": dir})
		}
		data := files[name]
		e := map[string]any{"type": "file", "oid": gitHash(data), "size": len(data), "path": name}
		if len(data) >= hubLarge {
			pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sha256Hex(data), len(data))
			e["oid"], e["lfs"] = gitHash([]byte(pointer)), map[string]any{"oid": sha256Hex(data), "size": len(data), "pointerSize": len(pointer)}
		}
		entries = append(entries, e)
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor")) // none is the first
	from = min(max(0, from), len(entries))
	to := min(from+hubPage, len(entries))
	if to < len(entries) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, h.URL, r.URL.EscapedPath(), to))
	}
	h.answer(w, entries[from:to])
}

func (h *Hub) resolve(w http.ResponseWriter, r *http.Request) {
	commit, files := h.find(w, r)
	if files == nil {
		return
	}
	data, ok := files[r.PathValue("file")]
	if !ok {
		w.Header().Set("X-Error-Code", "EntryNotFound")
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	w.Header().Set("X-Repo-Commit", commit)
	if len(data) < hubLarge {
		h.send(w, r, data)
		return
	}
	http.Redirect(w, r, h.store.URL+"/"+sha256Hex(data)+"?signature=secret", http.StatusFound)
}

func (h *Hub) large(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		h.t.Error("another server than the hub was shown the token")
	}
	h.mu.Lock()
	var found []byte
	for _, files := range h.commits {
		for _, data := range files {
			if len(data) >= hubLarge && strings.HasPrefix(r.URL.Path, "/"+sha256Hex(data)) {
				found = data
			}
		}
	}
	h.mu.Unlock()
	if found == nil {
		http.NotFound(w, r)
		return
	}
	h.send(w, r, found)
}

func (h *Hub) send(w http.ResponseWriter, r *http.Request, data []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(&counted{w, &h.Served}, r, "", time.Time{}, bytes.NewReader(data))
}

type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}
