package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"path"
	"path/filepath"
	"strings"
)

// Limits on what a caller may hand over.
const (
	maxItems     = 10_000
	maxMedia     = 64 << 20  // bytes of one picture or sound
	maxInputFile = 64 << 20  // bytes of a file of texts
	maxTensor    = 512 << 20 // bytes of one raw tensor
)

// items turns a request's inputs into what a pipeline takes.
func (e *Engine) items(ctx context.Context, r InferRequest) ([]Item, error) {
	var items []Item
	for _, text := range r.Inputs {
		items = append(items, e.item(text))
	}
	for _, record := range r.Records {
		items = append(items, Item{Record: record.RawMessage})
	}
	if r.InputFile != "" {
		var err error
		if items, err = e.readItems(r.InputFile); err != nil {
			return nil, err
		}
	}
	if len(items) > maxItems {
		return nil, Errorf(ErrTooLarge, "%d inputs are over the limit of %d", len(items), maxItems).WithHint("call several times")
	}
	return items, ctx.Err()
}

func (e *Engine) item(text string) Item {
	return Item{Text: text, Open: func(ctx context.Context) (io.ReadCloser, error) { return e.openMedia(ctx, text) }}
}

// readItems reads one input per line: plain text, or in a .jsonl file JSON
// strings, objects with a "text" alone, or other objects as records.
func (e *Engine) readItems(name string) ([]Item, error) {
	f, err := e.o.Paths.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var items []Item
	s := bufio.NewScanner(&capped{f, maxInputFile, "file of inputs"})
	s.Buffer(nil, 1<<20)
	for s.Scan() && len(items) <= maxItems {
		line := strings.TrimSpace(s.Text())
		if line == "" {
			continue
		}
		item := e.item(line)
		if path.Ext(name) == ".jsonl" {
			if item, err = e.jsonLine(line); err != nil {
				return nil, Errorf(ErrInvalidArgument, "input %d of the file: %w", len(items)+1, err).
					WithHint("each line of a .jsonl file is a JSON string, {\"text\": \"…\"} or a record of the task")
			}
		}
		items = append(items, item)
	}
	if err := s.Err(); errors.Is(err, ErrTooLarge) {
		return nil, err
	} else if err != nil {
		return nil, Errorf(ErrInvalidArgument, "the input file can't be read: %w", err).WithHint("it needs one input of at most 1 MB per line")
	}
	if len(items) == 0 {
		return nil, Errorf(ErrInvalidArgument, "the input file has no input")
	}
	return items, nil
}

func (e *Engine) jsonLine(line string) (Item, error) {
	var text string
	if json.Unmarshal([]byte(line), &text) == nil {
		return e.item(text), nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(line), &object); err != nil {
		return Item{}, err
	}
	if len(object) == 1 && json.Unmarshal(object["text"], &text) == nil {
		return e.item(text), nil
	}
	return Item{Record: json.RawMessage(line)}, nil
}

// openMedia opens the picture or sound that a string names.
func (e *Engine) openMedia(ctx context.Context, ref string) (io.ReadCloser, error) {
	switch {
	case strings.HasPrefix(ref, "data:"):
		data, err := dataURI(ref)
		return io.NopCloser(bytes.NewReader(data)), err
	case strings.HasPrefix(ref, "http://"), strings.HasPrefix(ref, "https://"):
		return nil, Errorf(ErrInvalidArgument, "web addresses are not read").
			WithHint("save the file in an allowed folder and pass its path, or pass a data: URI or ipfs://CID/file")
	case strings.HasPrefix(ref, "ipfs://"), strings.HasPrefix(ref, "/ipfs/"):
		return e.openContent(ctx, ref)
	}
	f, err := e.o.Paths.Open(ref)
	if err != nil {
		return nil, err
	}
	return limited{&capped{f, maxMedia, "picture or sound"}, f}, nil
}

// openContent opens a file by its CID, fetched if need be.
func (e *Engine) openContent(ctx context.Context, ref string) (io.ReadCloser, error) {
	m, _, err := e.model(ctx, ref, func(Progress) {})
	if err != nil {
		return nil, err
	}
	if len(m.Files) != 1 {
		return nil, Errorf(ErrInvalidArgument, "%s is a folder of %d files, not one file", ref, len(m.Files)).
			WithHint("add the file's path: %s/FILE", strings.TrimSuffix(ref, "/"))
	}
	f, err := Paths{All: true}.Open(filepath.Join(m.Dir, filepath.FromSlash(m.Files[0].Name)))
	if err != nil {
		return nil, err
	}
	return limited{&capped{f, maxMedia, "picture or sound"}, f}, nil
}

// A capped reader gives left bytes, and then an error instead of an end that
// there is not.
type capped struct {
	r    io.Reader
	left int64
	what string
}

func (c *capped) Read(p []byte) (int, error) {
	if c.left > 0 {
		n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
		c.left -= int64(n)
		return n, err
	}
	var more [1]byte
	if n, err := io.ReadFull(c.r, more[:]); n == 0 {
		return 0, err
	}
	return 0, Errorf(ErrTooLarge, "the %s is larger than may be read at once", c.what).WithHint("use a smaller one, or parts of it")
}

type limited struct {
	io.Reader
	io.Closer
}

// dataURI decodes a data: URI (RFC 2397).
func dataURI(uri string) ([]byte, error) {
	head, body, ok := strings.Cut(strings.TrimPrefix(uri, "data:"), ",")
	if !ok {
		return nil, Errorf(ErrInvalidArgument, "the data: URI has no comma").WithHint("write data:image/png;base64,…")
	}
	if len(body) > maxMedia {
		return nil, Errorf(ErrTooLarge, "the data: URI is over %d bytes", maxMedia)
	}
	if strings.HasSuffix(head, ";base64") {
		data, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return nil, Errorf(ErrInvalidArgument, "the data: URI is not base64: %w", err)
		}
		return data, nil
	}
	text, err := url.PathUnescape(body)
	if err != nil {
		return nil, Errorf(ErrInvalidArgument, "the data: URI can't be decoded: %w", err)
	}
	return []byte(text), nil
}
