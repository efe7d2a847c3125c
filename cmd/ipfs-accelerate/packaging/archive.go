package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// An entry is a file of an archive: bytes, or a file of this machine.
type entry struct {
	name string // with slashes
	mode fs.FileMode
	data []byte
	from string
}

func (e entry) open() (io.ReadCloser, int64, error) {
	if e.from == "" {
		return io.NopCloser(bytes.NewReader(e.data)), int64(len(e.data)), nil
	}
	f, err := os.Open(e.from)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// text is an entry with the given content.
func text(name string, data []byte) entry { return entry{name: name, mode: 0o644, data: data} }

// file is an entry with the content of a file.
func file(name, from string) entry { return entry{name: name, mode: 0o644, from: from} }

// program is an entry that can be run.
func program(name, from string) entry { return entry{name: name, mode: 0o755, from: from} }

// below moves entries into a folder.
func below(dir string, entries []entry) []entry {
	out := slices.Clone(entries)
	for i := range out {
		out[i].name = path.Join(dir, out[i].name)
	}
	return out
}

// made is the time of every file in an archive: the first that zip knows.
var made = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// sorted are the entries by name. Two of one name are an error.
func sorted(entries []entry) ([]entry, error) {
	out := slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return strings.Compare(a.name, b.name) })
	for i := range out[:max(len(out)-1, 0)] {
		if out[i].name == out[i+1].name {
			return nil, fmt.Errorf("two files are called %s", out[i].name)
		}
	}
	return out, nil
}

// A packer is an archive that is being written.
type packer interface {
	add(e entry, size int64) (io.Writer, error)
	Close() error
}

// pack writes an archive that depends on nothing but its entries: .zip, .mcpb
// or .tar.gz, by its name.
func pack(dest string, entries []entry) (err error) {
	entries, err = sorted(entries)
	if err != nil {
		return err
	}
	f, err := os.Create(dest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var p packer = zipPacker{zip.NewWriter(f)}
	if strings.HasSuffix(dest, ".tar.gz") {
		p = newTar(f)
	}
	for _, e := range entries {
		if err := copyInto(p, e); err != nil {
			return fmt.Errorf("pack %s: %w", e.name, err)
		}
	}
	return p.Close()
}

func copyInto(p packer, e entry) error {
	r, size, err := e.open()
	if err != nil {
		return err
	}
	defer r.Close() // read-only
	w, err := p.add(e, size)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return err
}

type zipPacker struct{ *zip.Writer }

func (z zipPacker) add(e entry, _ int64) (io.Writer, error) {
	h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: made}
	h.SetMode(e.mode)
	return z.CreateHeader(h)
}

type tarPacker struct {
	*tar.Writer
	gz *gzip.Writer
}

func newTar(w io.Writer) tarPacker {
	gz := gzip.NewWriter(w)
	return tarPacker{tar.NewWriter(gz), gz}
}

func (t tarPacker) add(e entry, size int64) (io.Writer, error) {
	return t, t.WriteHeader(&tar.Header{Name: e.name, Mode: int64(e.mode), Size: size, ModTime: made, Format: tar.FormatUSTAR})
}

func (t tarPacker) Close() error { return errors.Join(t.Writer.Close(), t.gz.Close()) }

// spread writes entries as files below dir.
func spread(dir string, entries []entry) error {
	entries, err := sorted(entries)
	if err != nil {
		return err
	}
	for _, e := range entries {
		dest := filepath.Join(dir, filepath.FromSlash(e.name))
		if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
			return err
		}
		r, _, err := e.open()
		if err != nil {
			return err
		}
		if err := errors.Join(write(dest, r, e.mode), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

func write(dest string, r io.Reader, mode fs.FileMode) error {
	f, err := os.OpenFile(dest, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// sum is a file's SHA-256 in hex.
func sum(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close() // read-only
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
