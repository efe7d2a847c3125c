package packs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A client is a program that fetches packages. Only it knows which registry
// and proxy this machine uses.
type client struct {
	registry string   // as package URLs call it
	programs []string // the first on PATH is used
	args     func(a archive, dir string) []string
	each     func(from string, f func(name string, r io.Reader) (more bool, err error)) error
}

var (
	npm = client{
		registry: "npm", programs: []string{"npm"},
		args: func(a archive, dir string) []string {
			return []string{"pack", a.name + "@" + a.version, "--ignore-scripts", "--pack-destination", dir}
		},
		each: eachTar,
	}
	pip = client{
		registry: "pypi", programs: []string{"pip", "pip3"},
		args: func(a archive, dir string) []string {
			// The tags of the wheel's name say for which Python and system it
			// was made, whatever this machine has.
			tags := strings.Split(strings.TrimSuffix(a.file, ".whl"), "-")
			python, abi, platform := tags[len(tags)-3], tags[len(tags)-2], tags[len(tags)-1]
			args := []string{"download", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", dir, "--platform", platform, a.name + "==" + a.version}
			if abi != "none" {
				args = append(args, "--abi", abi, "--python-version", strings.TrimPrefix(python, "cp"))
			}
			return args
		},
		each: eachZip,
	}
)

// underscored is how a wheel's name is written in its file's.
func underscored(name string) string { return strings.ReplaceAll(name, "-", "_") }

// fetch has the client download the package into dir.
func (a archive) fetch(ctx context.Context, dir string) (string, error) {
	program, err := a.client.find()
	if err != nil {
		return "", engine.Errorf(engine.ErrRuntimeMissing, "%s, which fetches %s, is not on PATH", a.client.programs[0], a.name).
			WithHint("install %s; or get %s on another machine and install from that file", a.client.programs[0], a.file)
	}
	cmd := exec.CommandContext(ctx, program, a.client.args(a, dir)...)
	cmd.Dir = dir
	var printed bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &printed
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", engine.Errorf(engine.ErrRuntimeMissing, "%s could not fetch %s %s: %w", a.client.programs[0], a.name, a.version, err).
			WithHint("%s says: %s", a.client.programs[0], lastLine(printed.String()))
	}
	path := filepath.Join(dir, a.file)
	if _, err := os.Stat(path); err != nil {
		return "", engine.Errorf(engine.ErrRuntimeMissing, "%s did not fetch %s", a.client.programs[0], a.file)
	}
	return path, nil
}

func (c client) find() (program string, err error) {
	for _, name := range c.programs {
		var missing error
		if program, missing = exec.LookPath(name); missing == nil {
			return program, nil
		}
		err = errors.Join(err, missing)
	}
	return "", err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
