package mcpserver_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// The first start makes the token, and every other start has the same.
func TestLoadToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "token")
	var wait sync.WaitGroup
	tokens := make([]string, 8)
	for i := range tokens {
		wait.Go(func() {
			var err error
			if tokens[i], err = mcpserver.LoadToken(file); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	for _, token := range tokens {
		if token != tokens[0] || len(token) < 40 {
			t.Errorf("tokens %q", tokens)
		}
	}
	info, err := os.Stat(file)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if rest, err := os.ReadDir(filepath.Dir(file)); err != nil || len(rest) != 1 {
		t.Errorf("left are %v, %v", rest, err)
	}
}

// A token that others may know, or that can be guessed, is not used, and not
// told.
func TestLoadToken_refuses(t *testing.T) {
	for content, mode := range map[string]os.FileMode{"": 0o600, "short": 0o600, "two words that are long enough": 0o600, "a-token-that-others-can-read": 0o644} {
		if mode != 0o600 && runtime.GOOS == "windows" {
			continue
		}
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		token, err := mcpserver.LoadToken(file)
		if err == nil || token != "" || content != "" && strings.Contains(err.Error(), content) {
			t.Errorf("%q: %q, %v", content, token, err)
		}
	}
}

// An address that strangers reach takes a token and TLS.
func TestListen_exposed(t *testing.T) {
	cert, key := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	writeCertificate(t, cert, key, "t")
	for name, c := range map[string]struct {
		options mcpserver.ListenOptions
		wants   string
	}{
		"nothing":             {mcpserver.ListenOptions{}, "without a token"},
		"token":               {mcpserver.ListenOptions{Token: true}, "without TLS"},
		"TLS":                 {mcpserver.ListenOptions{CertFile: cert, KeyFile: key}, "without a token"},
		"told so, no token":   {mcpserver.ListenOptions{InsecurePlaintext: true}, "without a token"},
		"half of TLS":         {mcpserver.ListenOptions{Token: true, CertFile: cert}, "a key file"},
		"no such certificate": {mcpserver.ListenOptions{Token: true, CertFile: cert + "x", KeyFile: key}, "TLS certificate"},
		"token and TLS":       {mcpserver.ListenOptions{Token: true, CertFile: cert, KeyFile: key}, ""},
		"token and told so":   {mcpserver.ListenOptions{Token: true, InsecurePlaintext: true}, ""},
	} {
		c.options.Address = "127.0.0.1.example:0" // does not resolve: only what is refused before it matters
		if c.wants == "" {
			continue
		}
		l, err := mcpserver.Listen(t.Context(), c.options)
		if err == nil {
			l.Close()
			t.Errorf("%s: it listens", name)
		} else if !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
