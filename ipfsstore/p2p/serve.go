package p2p

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/ipfs/go-cid"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
)

const (
	defaultLinger = 3 * time.Second
	takeOver      = 5 * time.Second // for the host before to be gone
	maxHeader     = 16 << 10
	maxBody       = 4 << 10
)

// ErrTaken says that another process is the host of a home.
var ErrTaken = errors.New("another process is the host")

// Serve is a host process: it takes the lock of c.Home, serves its socket, and
// returns when the last client that held it has been gone for a while, or ctx
// is done. ready is called when the socket is served. If another process has
// the lock, that is [ErrTaken].
func Serve(ctx context.Context, c peers.Config, log *slog.Logger, ready func()) error {
	unlock, err := take(ctx, filepath.Join(c.Home, peers.LockFile))
	if err != nil {
		return err
	}
	defer unlock()
	store, err := ipfsstore.Open(c.Store, ipfsstore.Options{Logger: log})
	if err != nil {
		return err
	}
	h, err := New(store, c, log) //nolint:contextcheck // it goes on until it is closed
	if err != nil {
		return errors.Join(err, store.Close())
	}
	return errors.Join(serveSocket(ctx, h, c, ready), h.Close(), store.Close())
}

// take takes the lock. One that is let go at this very moment is waited for.
func take(ctx context.Context, path string) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, takeOver)
	defer cancel()
	l := flock.New(path, flock.SetPermissions(0o600))
	socket := filepath.Join(filepath.Dir(path), peers.SocketFile)
	for {
		ok, err := l.TryLock()
		if ok {
			return func() { _ = l.Close() }, nil
		}
		if err != nil {
			return nil, fmt.Errorf("lock the host: %w", err)
		}
		if _, err := os.Lstat(socket); err == nil || !pause(ctx, 20*time.Millisecond) {
			return nil, ErrTaken // it serves, or never gets to
		}
	}
}

func serveSocket(ctx context.Context, h *Host, c peers.Config, ready func()) error {
	path, err := peers.Socket(c.Home)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // of a process that was killed: the lock is ours
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	linger := c.Linger
	if linger <= 0 {
		linger = defaultLinger
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &desk{h: h, holders: newHolders(linger, cancel)}
	srv := &http.Server{Handler: s.routes(), ReadHeaderTimeout: linger, MaxHeaderBytes: maxHeader, BaseContext: func(net.Listener) context.Context { return ctx }}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	ready()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errors.Join(srv.Close(), <-done)
	}
	s.holders.end()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// holders counts the clients, and ends the process when there have been none
// for a while.
type holders struct {
	linger time.Duration
	stop   func()

	mu    sync.Mutex // guards all below
	n     int
	over  bool
	timer *time.Timer
}

func newHolders(linger time.Duration, stop func()) *holders {
	h := &holders{linger: linger, stop: stop}
	h.timer = time.AfterFunc(linger, h.check)
	return h
}

// check ends the process if nobody holds it. Whoever comes after that is turned
// away, and starts another.
func (h *holders) check() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n == 0 {
		h.over = true
		h.stop()
	}
}

func (h *holders) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	h.n++
	h.timer.Stop()
	return true
}

func (h *holders) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n--; h.n == 0 {
		h.timer.Reset(h.linger)
	}
}

func (h *holders) end() { h.timer.Stop() }

// A desk serves the clients of this machine.
type desk struct {
	h       *Host
	holders *holders
}

func (s *desk) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+peers.RouteHold, s.hold)
	mux.HandleFunc("GET "+peers.RouteStatus, s.status)
	mux.HandleFunc("POST "+peers.RouteConnect, s.connect)
	mux.HandleFunc("POST "+peers.RouteAnnounce, s.announce)
	for _, source := range []string{peers.Bitswap, peers.Blob} {
		mux.HandleFunc("GET /"+source+"/ipfs/{cid}", func(w http.ResponseWriter, r *http.Request) { s.block(w, r, source) })
	}
	return mux
}

// hold goes on until the client is gone.
func (s *desk) hold(w http.ResponseWriter, r *http.Request) {
	if !s.holders.enter() {
		http.Error(w, "the host is about to end", http.StatusServiceUnavailable)
		return
	}
	defer s.holders.leave()
	w.WriteHeader(http.StatusOK)
	if err := http.NewResponseController(w).Flush(); err != nil {
		return
	}
	<-r.Context().Done()
}

func (s *desk) status(w http.ResponseWriter, r *http.Request) {
	st, err := s.h.Status(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(st) // a client that is gone needs none
}

func (s *desk) connect(w http.ResponseWriter, r *http.Request) {
	address, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err == nil {
		err = s.h.Connect(r.Context(), strings.TrimSpace(string(address)))
	}
	if err != nil {
		refuse(w, err)
	}
}

func (s *desk) announce(w http.ResponseWriter, r *http.Request) {
	if err := s.h.Announce(r.Context()); err != nil {
		refuse(w, err)
	}
}

// block serves one block, as a trustless gateway does.
func (s *desk) block(w http.ResponseWriter, r *http.Request, source string) {
	c, err := cid.Decode(r.PathValue("cid"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	block, err := s.h.Get(r.Context(), source, c)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.ipld.raw")
	_, _ = w.Write(block) // a client that is gone needs none
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	if errors.Is(err, ipfsstore.ErrNotFound) {
		status = http.StatusNotFound
	}
	if e, ok := errors.AsType[*ipfsstore.PhaseError](err); ok {
		w.Header().Set(peers.PhaseHeader, string(e.Phase))
		err = e.Err
	}
	http.Error(w, err.Error(), status)
}
