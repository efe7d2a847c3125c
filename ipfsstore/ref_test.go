package ipfsstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

const (
	v1 = "bafybeieceondihaf7hbe4i3wzyovykmmtgx4ykx4lzigdgv3rh6ng7irba"
	v0 = "QmY99SZQPfyC8U4h7vS9hRTP8a3PMG7o7o746cUQ5Qngd1"
)

func TestParseRef(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, cid, path, name string }{
		{v1, v1, "", ""},
		{v0, v0, "", ""},
		{"/ipfs/" + v1, v1, "", ""},
		{"/ipfs/" + v1 + "/onnx/model.onnx", v1, "onnx/model.onnx", ""},
		{"ipfs://" + v1, v1, "", ""},
		{"ipfs://" + v1 + "/a%20b/", v1, "a b", ""},
		{v1 + "/x", v1, "x", ""},
		{"bafkqaaa", "bafkqaaa", "", ""},
		{"minilm", "", "", "minilm"},
		{"minilm:latest", "", "", "minilm"},
		{"Xenova/all-MiniLM-L6-v2:int8", "", "", "Xenova/all-MiniLM-L6-v2:int8"},
	} {
		r, err := ipfsstore.ParseRef(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		got := ""
		if r.CID.Defined() {
			got = r.CID.String()
		}
		if got != c.cid || r.Path != c.path || r.Name != c.name {
			t.Errorf("%s: %+v", c.in, r)
		}
	}
}

func TestParseRef_refuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]error{
		"":                        ipfsstore.ErrInvalidRef,
		"../etc/passwd":           ipfsstore.ErrInvalidRef,
		"/etc/passwd":             ipfsstore.ErrInvalidRef,
		"a b":                     ipfsstore.ErrInvalidRef,
		v1[:len(v1)-1]:            ipfsstore.ErrInvalidRef,
		"/ipfs/":                  ipfsstore.ErrInvalidRef,
		"/ipfs/" + v1 + "/../x":   ipfsstore.ErrInvalidRef,
		"ipfs://" + v1 + "/%00":   ipfsstore.ErrInvalidRef,
		"ipfs://" + v1 + "?x=1":   ipfsstore.ErrInvalidRef,
		strings.Repeat("a", 5000): ipfsstore.ErrInvalidRef,
		"baguqeeraiqjw7i2vwntyuekgvulpp2det2kpwt6cd7tx5ayqybqpmhfk76fa":                                                  ipfsstore.ErrUnsupportedCID, // dag-json
		"bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs": ipfsstore.ErrUnsupportedCID, // sha2-512
	} {
		if r, err := ipfsstore.ParseRef(in); !errors.Is(err, want) {
			t.Errorf("%.60q: %+v, %v, want %v", in, r, err, want)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, s := range []string{v1, v0, "ipfs://" + v1 + "/a/b", "/ipfs/" + v0 + "/x", "name:tag", "a/b", "bafkqaaa", "mAVUAAA"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ipfsstore.ParseRef(s)
		if err != nil {
			if !errors.Is(err, ipfsstore.ErrInvalidRef) && !errors.Is(err, ipfsstore.ErrUnsupportedCID) {
				t.Errorf("%q: untyped error %v", s, err)
			}
			return
		}
		again, err := ipfsstore.ParseRef(r.String())
		if err != nil || again != r {
			t.Errorf("%q parses to %+v, whose text %q to %+v, %v", s, r, r.String(), again, err)
		}
		for part := range strings.SplitSeq(r.Path, "/") {
			if part == ".." {
				t.Errorf("%q has a path that leads out", s)
			}
		}
	})
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"*.json", "a.json", true},
		{"*.json", "d/a.json", false},
		{"**/*.json", "a.json", true},
		{"**/*.json", "d/e/a.json", true},
		{"onnx/**", "onnx/a/b", true},
		{"onnx/**", "onnxx/a", false},
		{"**", "a/b/c", true},
		{"a/**/c", "a/c", true},
		{"a/**/**/c", "a/x/y/c", true},
		{"a?c", "abc", true},
		{"[ab].bin", "b.bin", true},
		{"onnx", "onnx/model.onnx", false},
	} {
		if got := ipfsstore.MatchAny([]string{c.pattern}, c.name); got != c.want {
			t.Errorf("%s on %s: %v", c.pattern, c.name, got)
		}
	}
	if !ipfsstore.MatchAny(nil, "x") {
		t.Error("no patterns do not match all")
	}
	slow := strings.Repeat("**/", 200) + "x"
	if ipfsstore.MatchAny([]string{slow}, strings.Repeat("a/", 200)+"y") {
		t.Error("matched what it should not")
	}
	for _, bad := range []string{"[", "a//b", ""} {
		if ipfsstore.CheckPatterns([]string{bad}) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
