package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// release makes everything in dir, which it empties first.
func (m *maker) release(ctx context.Context, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	m.say("version %s", m.version)
	for _, t := range targets {
		work := filepath.Join(temp, t.os+"-"+t.arch)
		if err := os.Mkdir(work, 0o755); err != nil {
			return err
		}
		if err := m.archive(ctx, t, work, dir); err != nil {
			return err
		}
	}
	if err := m.bundleOf(ctx, dir, temp); err != nil {
		return err
	}
	return m.checksums(dir)
}

// archive makes the archive of one platform in dir, and the list of its parts.
func (m *maker) archive(ctx context.Context, t target, work, dir string) error {
	programs, reason, err := m.programs(ctx, t, work)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("ipfs-accelerate_%s_%s_%s", m.version, t.os, t.arch)
	list, err := m.parts(name, programs, nil)
	if err != nil {
		return err
	}
	entries, err := m.accompaniment(ctx, t, programs)
	if err != nil {
		return err
	}
	for _, p := range programs {
		entries = append(entries, program(filepath.Base(p), p))
	}
	file := name + ".tar.gz"
	if t.os == "windows" {
		file = name + ".zip"
	}
	if err := pack(filepath.Join(dir, file), below(name, entries)); err != nil {
		return err
	}
	m.say("%s\n  ipfs-accelerate-native: %s", file, native(t, reason))
	return os.WriteFile(filepath.Join(dir, name+".cdx.json"), list, 0o644) //nolint:gosec // it is for everybody
}

// native says whether the archive has the program with C in it, and how far it is
// known to work.
func native(t target, reason string) string {
	switch {
	case reason != "":
		return reason
	case t.os == "darwin" && t != host:
		return "in it: linked for macOS here, never run"
	case t != host:
		return "in it: cross-compiled"
	}
	return "in it"
}

// accompaniment is what lies beside the programs.
func (m *maker) accompaniment(ctx context.Context, t target, programs []string) ([]entry, error) {
	notices, err := m.notices(ctx, programs)
	if err != nil {
		return nil, err
	}
	pages, err := m.manual() //nolint:contextcheck // commands are described, not run
	if err != nil {
		return nil, err
	}
	scripts, err := completions() //nolint:contextcheck // the same
	if err != nil {
		return nil, err
	}
	entries := append(scripts, text("NOTICES.txt", notices))
	for _, name := range []string{"LICENSE", "CHANGELOG.md"} {
		entries = append(entries, file(name, filepath.Join(m.root, name)))
	}
	documents, err := filepath.Glob(filepath.Join(m.root, "resources/docs/*.md"))
	if err != nil {
		return nil, err
	}
	for _, d := range documents {
		entries = append(entries, file("docs/"+filepath.Base(d), d))
	}
	if t.os != "windows" {
		entries = append(entries, pages...)
	}
	if t.os == "linux" {
		for _, name := range []string{"system/ipfs-accelerate.service", "user/ipfs-accelerate.service"} {
			entries = append(entries, file("systemd/"+name, filepath.Join(m.root, "cmd/ipfs-accelerate/packaging/systemd", name)))
		}
	}
	return entries, nil
}

// bundleOf makes this platform's bundle, the list of its parts and the entry
// of the registry that names it.
func (m *maker) bundleOf(ctx context.Context, dir, temp string) error {
	if _, ok := nodePlatforms[host]; !ok {
		m.say("MCP bundle: not yet on %s", host)
		return nil
	}
	bundle, err := m.bundle(ctx, dir, false)
	if err != nil {
		return err
	}
	work := filepath.Join(temp, host.os+"-"+host.arch)
	cpu, library, err := m.library(ctx)
	if err != nil {
		return err
	}
	weights, err := m.weights(ctx)
	if err != nil {
		return err
	}
	var programs []string
	for _, name := range []string{"ipfs-accelerate", "ipfs-accelerate-p2p", "ipfs-accelerate-native"} {
		programs = append(programs, filepath.Join(work, host.exe(name)))
	}
	list, err := m.parts(filepath.Base(bundle), programs, bundledParts(cpu, library, weights))
	if err != nil {
		return err
	}
	registry, err := m.registryEntry(bundle)
	if err != nil {
		return err
	}
	return spread(dir, []entry{text(filepath.Base(bundle)+".cdx.json", list), text("server.json", registry)})
}

// checksums writes SHA256SUMS, as sha256sum --check reads it.
func (m *maker) checksums(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return err
	}
	slices.Sort(files)
	var b bytes.Buffer
	for _, f := range files {
		hash, err := sum(f)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", hash, filepath.Base(f))
	}
	m.say("SHA256SUMS: %d files", len(files))
	return os.WriteFile(filepath.Join(dir, "SHA256SUMS"), b.Bytes(), 0o644) //nolint:gosec // it is for everybody
}
