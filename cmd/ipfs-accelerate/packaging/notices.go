package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
)

// licenceFile is how files with a licence or a notice are called.
var licenceFile = regexp.MustCompile(`(?i)^((un)?licen[cs]e|copying|copyright|notice)([-.].*)?$`)

// modules are what programs are linked of, by path, without our own.
func modules(programs []string) ([]*debug.Module, error) {
	byPath := map[string]*debug.Module{}
	for _, p := range programs {
		info, err := buildinfo.ReadFile(p)
		if err != nil {
			return nil, err
		}
		for _, d := range info.Deps {
			byPath[d.Path] = d
		}
	}
	var out []*debug.Module
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		out = append(out, byPath[p])
	}
	return out, nil
}

// notices are the licences of all that the programs are linked of: the
// modules, and Go itself.
func (m *maker) notices(ctx context.Context, programs []string) ([]byte, error) {
	mods, err := modules(programs)
	if err != nil {
		return nil, err
	}
	dirs, err := m.folders(ctx, mods)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, "These programs are linked of the following modules, under these licences.")
	for _, mod := range append([]*debug.Module{{Path: "go (the standard library)"}}, mods...) {
		fmt.Fprintf(&b, "\n%s\n%s %s\n", rule, mod.Path, mod.Version)
		if err := licences(&b, dirs[mod.Path]); err != nil {
			return nil, fmt.Errorf("%s: %w", mod.Path, err)
		}
	}
	return b.Bytes(), nil
}

const rule = "========================================================================"

// folders are where the sources of modules, and Go's own, lie here.
func (m *maker) folders(ctx context.Context, mods []*debug.Module) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, mod := range mods {
		args = append(args, mod.Path+"@"+mod.Version)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = m.root
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	dirs := map[string]string{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var mod struct{ Path, Dir string }
		if err := dec.Decode(&mod); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		dirs[mod.Path] = mod.Dir
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	dirs["go (the standard library)"] = string(bytes.TrimSpace(goroot))
	return dirs, err
}

// licences writes the files with licences of a folder. One without any is an
// error: what has no licence must not be passed on.
func licences(w io.Writer, dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	found := false
	for _, f := range files {
		if f.IsDir() || !licenceFile.MatchString(f.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		found = true
		fmt.Fprintf(w, "\n--- %s\n\n%s\n", f.Name(), bytes.TrimSpace(data))
	}
	if !found {
		return errors.New("no licence is in its folder")
	}
	return nil
}
