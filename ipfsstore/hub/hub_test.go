package hub_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/hub"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/storetest"
)

func origin(t testing.TB, url, token string) *hub.Origin {
	t.Helper()
	o, err := hub.New(hub.Options{Endpoint: url, Token: func() string { return token }})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestOrigin(t *testing.T) {
	storetest.RunOrigin(t, func(t *testing.T, files map[string][]byte) (ipfsstore.Origin, string) {
		h := storetest.NewHub(t, storetest.HubOptions{Token: "hf_secret"})
		h.Put("org/model", files)
		return origin(t, h.URL, "hf_secret"), "org/model"
	})
}

func TestOrigin_withoutRanges(t *testing.T) {
	storetest.RunOrigin(t, func(t *testing.T, files map[string][]byte) (ipfsstore.Origin, string) {
		h := storetest.NewHub(t, storetest.HubOptions{Download: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Range")
				next.ServeHTTP(w, r)
			})
		}})
		h.Put("org/model", files)
		return origin(t, h.URL, ""), "org/model@main"
	})
}

func TestOrigin_denied(t *testing.T) {
	h := storetest.NewHub(t, storetest.HubOptions{Token: "hf_secret"})
	h.Put("org/gated", map[string][]byte{"a": {1}})
	for _, token := range []string{"", "wrong"} {
		_, err := origin(t, h.URL, token).Resolve(t.Context(), "org/gated")
		if !errors.Is(err, ipfsstore.ErrDenied) || !strings.Contains(err.Error(), "restricted") || token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("token %q: %v, want ErrDenied", token, err)
		}
	}
}

func TestOrigin_offline(t *testing.T) {
	h := storetest.NewHub(t, storetest.HubOptions{})
	h.Put("org/model", map[string][]byte{"a": {1}})
	o, err := hub.New(hub.Options{Endpoint: h.URL, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Resolve(t.Context(), "org/model"); !errors.Is(err, ipfsstore.ErrOffline) {
		t.Errorf("%v, want ErrOffline", err)
	}
	if n := h.Asked.Load(); n > 0 {
		t.Errorf("the hub was asked %d times", n)
	}
}

// A hub that says what no hub should is not followed.
func TestOrigin_lyingAnswers(t *testing.T) {
	answers := map[string]string{
		"no commit":          `{"sha":"main"}`,
		"not JSON":           `<html>`,
		"a list elsewhere":   `{"sha":"` + strings.Repeat("a", 40) + `"}`,
		"a commit of others": `{"sha":"` + strings.Repeat("b", 40) + `"}`,
	}
	for what, answer := range answers {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/tree/") {
				w.Header().Set("Link", `<http://192.0.2.1/next>; rel="next"`)
				_, _ = io.WriteString(w, "[]")
				return
			}
			_, _ = io.WriteString(w, answer)
		}))
		_, err := origin(t, srv.URL, "").Resolve(t.Context(), "org/model@"+strings.Repeat("a", 40))
		if err == nil {
			t.Errorf("%s: no error", what)
		}
		srv.Close()
	}
}

// The token of an encrypted hub does not go on in the open, nor a request to an
// address of this network if the hub is on another.
func TestOrigin_redirects(t *testing.T) {
	open := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the open server was asked") }))
	defer open.Close()
	srv := httptest.NewTLSServer(http.RedirectHandler(open.URL, http.StatusFound))
	defer srv.Close()
	o := origin(t, srv.URL, "hf_secret")
	hub.Trust(o, srv.Certificate())
	if _, err := o.Resolve(t.Context(), "org/model"); err == nil || !strings.Contains(err.Error(), "redirect") {
		t.Errorf("%v, want an error of the redirect", err)
	}
	if err := hub.DialElsewhere(t.Context(), open.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "local network") {
		t.Errorf("%v, want a refusal", err)
	}
}

func TestNew_refuses(t *testing.T) {
	for _, bad := range []string{"ftp://x", "https://", "https://user:pass@x", "https://x/?q", "::"} {
		if _, err := hub.New(hub.Options{Endpoint: bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HF_HOME", dir)
	t.Setenv("HF_TOKEN", "")
	t.Setenv("HF_TOKEN_PATH", "")
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("HF_HUB_OFFLINE", "1")
	o := hub.FromEnvironment()
	if o.Endpoint != "http://127.0.0.1:1" || !o.Offline || o.Token() != "hf_file" {
		t.Errorf("%+v, token %q", o, o.Token())
	}
	t.Setenv("HF_TOKEN", "hf_variable")
	if o.Token() != "hf_variable" {
		t.Errorf("token %q", o.Token())
	}
}

func TestRead_stalled(t *testing.T) {
	h := storetest.NewHub(t, storetest.HubOptions{Download: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2000")
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
	}})
	h.Put("org/model", map[string][]byte{"a": make([]byte, 2000)})
	ctx, cancel := context.WithCancelCause(t.Context())
	o := origin(t, h.URL, "")
	snap, err := o.Resolve(ctx, "org/model")
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Read(ctx, snap.Ref, "a", 0, 2000)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("enough")
	cancel(stop)
	if _, err := io.ReadAll(r); !errors.Is(err, stop) {
		t.Errorf("%v, want the cause", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
