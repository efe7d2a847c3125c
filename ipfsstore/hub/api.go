package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

const (
	maxAnswer = 64 << 20 // bytes of one answer of the API
	maxFiles  = 250_000
	maxPages  = 1000
)

// commit asks for the commit that a revision is at.
func (h *Origin) commit(ctx context.Context, repo, rev string) (string, error) {
	var answer struct {
		SHA string `json:"sha"`
	}
	if _, err := h.ask(ctx, h.url("api/models/"+repo+"/revision/", rev), &answer); err != nil {
		return "", err
	}
	if !commitHash.MatchString(answer.SHA) {
		return "", fmt.Errorf("the hub says that %s is at the commit %.60q, which is none", rev, answer.SHA)
	}
	if commitHash.MatchString(rev) && rev != answer.SHA {
		return "", fmt.Errorf("asked for the commit %s, the hub tells of %s", rev, answer.SHA)
	}
	return answer.SHA, nil
}

// An entry is a file or folder as the hub's list has it.
type entry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	OID  string `json:"oid"` // git's hash: of the file, or of its pointer
	Size int64  `json:"size"`
	LFS  *struct {
		OID  string `json:"oid"` // sha256 of the file
		Size int64  `json:"size"`
	} `json:"lfs"`
}

// tree lists the files of a commit, page by page.
func (h *Origin) tree(ctx context.Context, repo, commit string) ([]ipfsstore.OriginFile, error) {
	var files []ipfsstore.OriginFile
	at := h.url("api/models/"+repo+"/tree/", commit) + "?recursive=true"
	for range maxPages {
		var page []entry
		next, err := h.ask(ctx, at, &page)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e.Type != "file" {
				continue
			}
			f := ipfsstore.OriginFile{Name: e.Path, Bytes: e.Size, Git: e.OID}
			if e.LFS != nil {
				f = ipfsstore.OriginFile{Name: e.Path, Bytes: e.LFS.Size, SHA256: e.LFS.OID}
			}
			files = append(files, f)
		}
		if len(files) > maxFiles {
			break
		}
		if at = next; at == "" {
			return files, nil
		}
	}
	return nil, fmt.Errorf("%w: more than %d files or %d pages of them", ipfsstore.ErrTooLarge, maxFiles, maxPages)
}

// Read implements [ipfsstore.Origin].
func (h *Origin) Read(ctx context.Context, ref, file string, off, n int64) (io.ReadCloser, error) {
	repo, rev, err := split(ref)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return http.NoBody, nil
	}
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", off, off+n-1)}, "Accept-Encoding": {"identity"}}
	resp, err := h.do(ctx, h.url(repo+"/resolve/", rev)+"/"+escapePath(file), header) //nolint:bodyclose // the body that is returned closes it
	if err != nil {
		return nil, err
	}
	b := &body{resp: resp, left: n}
	if err := b.start(off); err != nil {
		_ = b.Close() // it holds nothing but the response
		return nil, err
	}
	return b, nil
}

// A body is the wanted bytes of a response.
type body struct {
	resp *http.Response
	left int64
}

// start makes sure that the next byte is the one at off.
func (b *body) start(off int64) error {
	if b.resp.StatusCode == http.StatusPartialContent {
		var from int64
		if _, err := fmt.Sscanf(b.resp.Header.Get("Content-Range"), "bytes %d-", &from); err != nil || from != off {
			return fmt.Errorf("asked for bytes from %d on, the hub sends %q", off, b.resp.Header.Get("Content-Range"))
		}
		return nil
	}
	if off > 0 { // it does not know ranges
		left := b.left
		b.left = off
		if _, err := io.Copy(io.Discard, b); err != nil {
			return err
		}
		b.left = left
	}
	return nil
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.resp.Body.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements [io.Closer].
func (b *body) Close() error { return b.resp.Body.Close() }

// url is of a path below the hub's, whose last part is escaped.
func (h *Origin) url(path, last string) string {
	return h.o.Endpoint + "/" + path + url.PathEscape(last)
}

func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

var nextPage = regexp.MustCompile(`<([^>]+)>\s*;\s*rel="?next"?`)

var errSlow = errors.New("the answer is not whole in time")

// ask gets an answer of the API, and the URL of what follows it.
func (h *Origin) ask(ctx context.Context, at string, answer any) (next string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*h.o.Idle, &ipfsstore.PhaseError{Phase: ipfsstore.PhaseStalled, Err: errSlow})
	defer cancel()
	resp, err := h.do(ctx, at, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return "", fmt.Errorf("ask the hub: %w", err)
	}
	if len(data) > maxAnswer {
		return "", fmt.Errorf("%w: an answer of the hub of more than %d bytes", ipfsstore.ErrTooLarge, maxAnswer)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return "", fmt.Errorf("ask the hub: %w", err)
	}
	m := nextPage.FindStringSubmatch(resp.Header.Get("Link"))
	if m == nil {
		return "", nil
	}
	u, err := resp.Request.URL.Parse(m[1])
	if err != nil || u.Host != h.base.Host || u.Scheme != h.base.Scheme {
		return "", fmt.Errorf("the hub's list goes on at %.200q, which is not there", m[1])
	}
	return u.String(), nil
}
