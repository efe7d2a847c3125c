package runner

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// maxUnpacked bounds what is read out of a package, whatever it claims to hold.
const maxUnpacked = 2 << 30

// Install puts the ONNX Runtime library of this platform into dir, and returns
// its path. It takes it out of the package file from, or, if that is empty, has
// the npm client on PATH fetch the package. The package and each file must have
// the SHA-256 that this program knows, else nothing is kept. Progress, which may
// be nil, is told the bytes of the package that were read. What is installed
// already is left as it is.
func Install(ctx context.Context, dir, from string, progress func(engine.Progress)) (string, error) {
	files, err := pack()
	if err != nil {
		return "", err
	}
	if path, err := Library(dir); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("install ONNX Runtime: %w", err)
	}
	if from == "" {
		temp, err := os.MkdirTemp(dir, ".fetch-*")
		if err != nil {
			return "", fmt.Errorf("install ONNX Runtime: %w", err)
		}
		defer os.RemoveAll(temp) // a left-over is only untidy
		if from, err = fetch(ctx, temp); err != nil {
			return "", err
		}
	}
	if err := unpack(ctx, from, dir, files, progress); err != nil {
		return "", err
	}
	return Library(dir)
}

// fetch has npm download the package into dir. Only npm knows which registry
// and proxy this machine uses.
func fetch(ctx context.Context, dir string) (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", engine.Errorf(engine.ErrRuntimeMissing, "npm, which fetches ONNX Runtime, is not on PATH").
			WithHint("install npm; or get %s-%s.tgz from the npm registry on another machine and install from that file", packName, PackVersion)
	}
	cmd := exec.CommandContext(ctx, npm, "pack", packName+"@"+PackVersion, "--ignore-scripts", "--pack-destination", dir)
	cmd.Dir = dir
	var stderr tail
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", engine.Errorf(engine.ErrRuntimeMissing, "npm could not fetch %s@%s: %w", packName, PackVersion, err).
			WithHint("npm says: %s", lastLine(stderr.String()))
	}
	return filepath.Join(dir, packName+"-"+PackVersion+".tgz"), nil
}

// unpack reads the package once: it writes files beside their places while the
// package is hashed, and moves them there when all hashes are right.
func unpack(ctx context.Context, from, dir string, files []packFile, progress func(engine.Progress)) error {
	f, err := os.Open(from)
	if err != nil {
		return engine.Errorf(engine.ErrRuntimeMissing, "the package can't be opened: %w", errors.Unwrap(err))
	}
	defer f.Close() // read-only
	whole := sha256.New()
	source := io.TeeReader(&meter{ctx: ctx, r: io.LimitReader(f, packBytes+1), report: progress}, whole)
	staged, err := stage(source, dir, files)
	defer func() {
		for temp := range staged {
			os.Remove(temp) // moved away, or only untidy
		}
	}()
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, source); err != nil {
		return fmt.Errorf("read package: %w", err)
	}
	if got := hexSum(whole); got != packSHA256 {
		return engine.Errorf(engine.ErrHashMismatch, "the package has SHA-256 %s, not %s", got, packSHA256).
			WithHint("it must be %s version %s, unchanged", packName, PackVersion)
	}
	for temp, final := range staged {
		if err := os.Rename(temp, final); err != nil {
			return fmt.Errorf("install ONNX Runtime: %w", err)
		}
	}
	return nil
}

// stage writes the wanted files of a package under temporary names, which it
// returns with their final ones, even when it fails.
func stage(source io.Reader, dir string, files []packFile) (map[string]string, error) {
	staged := map[string]string{}
	z, err := gzip.NewReader(source)
	if err != nil {
		return staged, notThePackage(err)
	}
	wanted := map[string]packFile{}
	for _, f := range files {
		wanted["package/bin/napi-v6/"+f.path] = f
	}
	archive := tar.NewReader(io.LimitReader(z, maxUnpacked))
	for len(wanted) > 0 {
		h, err := archive.Next()
		if err != nil {
			return staged, notThePackage(err)
		}
		f, ok := wanted[h.Name]
		if !ok {
			continue
		}
		delete(wanted, h.Name)
		temp, err := f.stage(archive, dir)
		if temp != "" {
			staged[temp] = f.installed(dir)
		}
		if err != nil {
			return staged, err
		}
	}
	return staged, nil
}

func notThePackage(err error) error {
	return engine.Errorf(engine.ErrHashMismatch, "the file is not the package %s %s: %w", packName, PackVersion, err)
}

// stage writes f, durably and hashed, under a temporary name.
func (f packFile) stage(r io.Reader, dir string) (string, error) {
	final := f.installed(dir)
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", fmt.Errorf("install ONNX Runtime: %w", err)
	}
	temp, err := os.CreateTemp(filepath.Dir(final), ".new-*")
	if err != nil {
		return "", fmt.Errorf("install ONNX Runtime: %w", err)
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(temp, sum), io.LimitReader(r, f.bytes+1))
	if err == nil && hexSum(sum) != f.sha256 {
		err = engine.Errorf(engine.ErrHashMismatch, "%s has SHA-256 %s, not %s", f.path, hexSum(sum), f.sha256)
	}
	if err == nil {
		err = errors.Join(temp.Chmod(0o644), temp.Sync())
	}
	return temp.Name(), errors.Join(err, temp.Close())
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// A meter reports what is read through it, and stops when its context does.
type meter struct {
	ctx    context.Context //nolint:containedctx // io.Reader has no argument for it
	r      io.Reader
	report func(engine.Progress)
	done   int64
}

func (m *meter) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.done += int64(n)
	if m.report != nil && n > 0 {
		m.report(engine.Progress{Done: m.done, Total: packBytes, Unit: "bytes", Message: "unpacking ONNX Runtime"})
	}
	return n, err
}
