package kubo_test

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/kubo"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

func at(t testing.TB, url string) ipfsstore.Source {
	t.Helper()
	src, err := kubo.New("local-node", kubo.Options{Find: func() (string, error) { return url, nil }})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestSource(t *testing.T) {
	storetest.Run(t, func(t *testing.T, blocks map[cid.Cid][]byte) ipfsstore.Source {
		return at(t, storetest.Kubo(t, blocks))
	})
}

func TestSource_tier(t *testing.T) {
	if tier := at(t, "http://127.0.0.1:1").(ipfsstore.Tiered).Tier(); tier != "L3" {
		t.Errorf("tier %q, want L3", tier)
	}
}

// Trouble of the node is an error that says what it said, not an absent block.
func TestSource_trouble(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"Message":"disk on fire"}`, http.StatusInternalServerError)
	}))
	defer srv.Close()
	err := at(t, srv.URL).Fetch(t.Context(), []cid.Cid{storetest.CID(nil)}, nil)
	if err == nil || errors.Is(err, ipfsstore.ErrNotFound) || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("err = %v, want the node's", err)
	}
}

func TestFind(t *testing.T) {
	for _, tt := range []struct{ file, want, err string }{
		{"/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001", ""},
		{"/ip4/127.0.0.1/tcp/5001\n", "http://127.0.0.1:5001", ""},
		{"/ip4/0.0.0.0/tcp/5001/http", "http://127.0.0.1:5001", ""},
		{"/ip6/::1/tcp/5001", "http://[::1]:5001", ""},
		{"/ip6/::/tcp/5001", "http://[::1]:5001", ""},
		{"/ip4/192.0.2.1/tcp/5001", "", "not of this machine"},
		{"/unix/tmp/api", "", "is not /ip4/"},
		{"/ip4/127.0.0.1/tcp/port", "", "address of the node"},
		{"", "", "is not /ip4/"},
	} {
		dir := t.TempDir()
		t.Setenv("IPFS_PATH", dir)
		if err := os.WriteFile(filepath.Join(dir, "api"), []byte(tt.file), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := kubo.Find()
		if got != tt.want || tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: %q, %v; want %q, %q", tt.file, got, err, tt.want, tt.err)
		}
	}
}

// Where no node runs, there are no blocks, and that is no trouble.
func TestFind_none(t *testing.T) {
	t.Setenv("IPFS_PATH", t.TempDir())
	src, err := kubo.New("local-node", kubo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Fetch(t.Context(), []cid.Cid{storetest.CID(nil)}, nil); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("err = %v, want ErrNotFound", err)
	}
	t.Setenv("IPFS_PATH", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("USERPROFILE", os.Getenv("HOME"))
	if _, err := kubo.Find(); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("err = %v, want ErrNotFound", err)
	}
}

// A model that a real Kubo has added is fetched from it.
func TestSource_realKubo(t *testing.T) {
	bin := os.Getenv("KUBO_BIN")
	if bin == "" {
		t.Skip("KUBO_BIN names no Kubo")
	}
	t.Setenv("IPFS_PATH", filepath.Join(t.TempDir(), "repo"))
	t.Setenv("IPFS_TELEMETRY", "off")
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(bin, args...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "--profile=test,unixfs-v1-2025")
	daemon(t, bin)
	file := filepath.Join(t.TempDir(), "model.bin")
	if err := os.WriteFile(file, make([]byte, 3_000_000), 0o600); err != nil {
		t.Fatal(err)
	}
	root := run("add", "-Q", file)
	src, err := kubo.New("local-node", kubo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{Sources: []ipfsstore.Source{src}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	got, err := store.Fetch(t.Context(), root, ipfsstore.FetchOptions{})
	if err != nil || got.Level != "L3" || got.Bytes != 3_000_000 {
		t.Fatalf("fetched %d bytes at %s: %v", got.Bytes, got.Level, err)
	}
	if _, err := store.Fetch(t.Context(), storetest.CID([]byte("absent")).String(), ipfsstore.FetchOptions{}); !errors.Is(err, ipfsstore.ErrNotFound) {
		t.Errorf("err = %v, want ErrNotFound", err)
	}
}

// daemon runs a node until the test ends, and waits until it is ready.
func daemon(t *testing.T, bin string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // it ends in clean-up
	cmd := exec.CommandContext(ctx, bin, "daemon", "--offline")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() }) // it was killed
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "Daemon is ready") {
			return
		}
	}
	t.Fatal("the daemon did not get ready")
}
