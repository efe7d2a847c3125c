package ipfsstore_test

import (
	"encoding/binary"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

// The groups RawRanges and FormatPrecedence of the gateways' conformance suite.

func TestGateway_RawRanges(t *testing.T) {
	t.Parallel()
	s, root := origin(t)
	target := "/ipfs/" + root + "/config.json?format=raw" // "{}\n"
	for _, c := range []struct {
		ranges string
		status int
		parts  []string
	}{
		{"bytes=0-0", http.StatusPartialContent, []string{"{"}},
		{"bytes=1-", http.StatusPartialContent, []string{"}\n"}},
		{"bytes=-1", http.StatusPartialContent, []string{"\n"}},
		{"bytes=0-0,2-2", http.StatusPartialContent, []string{"{", "\n"}},
		{"bytes=1-1,-1", http.StatusPartialContent, []string{"}", "\n"}},
		{"bytes=9-", http.StatusRequestedRangeNotSatisfiable, nil},
	} {
		r := ask(t, s, http.MethodGet, target, "Range: "+c.ranges)
		if r.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", c.ranges, r.StatusCode, c.status)
		} else if got := parts(t, r); c.parts != nil && strings.Join(got, "|") != strings.Join(c.parts, "|") {
			t.Errorf("%s: %q, want %q", c.ranges, got, c.parts)
		}
	}
}

// parts are the ranges that an answer holds.
func parts(t *testing.T, r answer) []string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/byteranges" {
		return []string{string(r.body)}
	}
	var out []string
	m := multipart.NewReader(strings.NewReader(string(r.body)), params["boundary"])
	for {
		p, err := m.NextPart()
		if err != nil { // the end, or parts are lacking
			return out
		}
		out = append(out, string(must(io.ReadAll(p))(t)))
	}
}

func TestGateway_FormatPrecedence(t *testing.T) {
	t.Parallel()
	s, root := origin(t)
	const raw, car = "application/vnd.ipld.raw", "application/vnd.ipld.car"
	for _, c := range []struct{ query, accept, want string }{
		{"?format=raw", car, raw},
		{"?format=car", raw, car},
		{"?format=raw", "text/html", raw},
		{"", raw, raw},
		{"", car, car},
		{"", "text/html, " + raw, raw},
	} {
		r := ask(t, s, http.MethodGet, "/ipfs/"+root+c.query, "Accept: "+c.accept)
		if got, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); r.StatusCode != http.StatusOK || got != c.want {
			t.Errorf("%q with %q: %d %s, want %s", c.query, c.accept, r.StatusCode, got, c.want)
		}
	}
}

// What a CID holds itself is no block of a CAR.
func TestGateway_identity(t *testing.T) {
	t.Parallel()
	s, _ := origin(t)
	const hello = "bafkqabtimvwgy3yk" // "hello\n" in an identity CID
	r := ask(t, s, http.MethodGet, "/ipfs/"+hello+"?format=car&car-dups=y")
	if r.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", r.StatusCode, r.body)
	}
	header, n := binary.Uvarint(r.body)
	if rest := len(r.body) - n - int(header); rest != 0 {
		t.Errorf("%d bytes follow the header", rest)
	}
}
