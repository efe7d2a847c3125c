package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

const module = "github.com/ipfs-accelerate/ipfs-accelerate-go"

// A maker makes releases of one version.
type maker struct {
	root    string // of the repository
	version string
	out     io.Writer // for people
}

func (m *maker) say(format string, args ...any) { fmt.Fprintf(m.out, format+"\n", args...) }

// A target is a platform that is released.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

// exe is how programs are called there.
func (t target) exe(name string) string {
	if t.os == "windows" {
		return name + ".exe"
	}
	return name
}

// targets are all platforms that are released.
var targets = []target{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

// host is the platform that this program runs on.
var host = target{runtime.GOOS, runtime.GOARCH}

// crossCompilers are the C and C++ compilers for other platforms than this.
var crossCompilers = map[target][2]string{
	{"linux", "amd64"}: {"x86_64-linux-gnu-gcc", "x86_64-linux-gnu-g++"},
	{"linux", "arm64"}: {"aarch64-linux-gnu-gcc", "aarch64-linux-gnu-g++"},
}

// compilers returns the environment that compiles C for t, or the reason why
// there is none here. Scripts that it needs go into work.
func compilers(ctx context.Context, t target, work string) (env []string, reason string, err error) {
	if t == host {
		return nil, "", nil
	}
	cross, ok := crossCompilers[t]
	switch {
	case t.os == "windows":
		return nil, "not yet: its libraries are not linked on Windows", nil
	case t == target{"darwin", "amd64"}:
		return nil, "not yet: the pinned package has no ONNX Runtime for it", nil
	case t == target{"darwin", "arm64"} && hasZig():
		env, err := zig(ctx, work)
		if err != nil && ctx.Err() == nil {
			return nil, "absent: its compiler can't be had: " + err.Error(), nil
		}
		return env, "", err
	case !ok:
		return nil, "not yet: it is built on such a machine only (make build)", nil
	case host.os != t.os:
		return nil, "not yet: it is cross-compiled on Linux only", nil
	}
	for _, c := range cross {
		if !installed(c) {
			return nil, "absent: " + c + " is not installed (Debian: gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu)", nil
		}
	}
	return []string{"CC=" + cross[0], "CXX=" + cross[1]}, "", nil
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// build builds one of the programs for t into dir, and returns its path.
// The program names no folder of this machine, and is the same each time.
func (m *maker) build(ctx context.Context, t target, name, dir string, env ...string) (string, error) {
	path := filepath.Join(dir, t.exe(name))
	flags := fmt.Sprintf("-s -w -buildid= -X %s/cmd/command.Version=%s", module, m.version)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", path, module+"/cmd/"+name)
	cmd.Dir = m.root
	cmd.Env = append(append(os.Environ(), "GOOS="+t.os, "GOARCH="+t.arch), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s for %s: %w\n%s", name, t, err, out)
	}
	return path, nil
}

// programs builds the server and the host of peers for t and, where that can be done here, the
// program with C in it; else it says why not.
func (m *maker) programs(ctx context.Context, t target, dir string) (paths []string, reason string, err error) {
	server, err := m.build(ctx, t, "ipfs-accelerate", dir, "CGO_ENABLED=0")
	if err != nil {
		return nil, "", err
	}
	host, err := m.build(ctx, t, "ipfs-accelerate-p2p", dir, "CGO_ENABLED=0")
	if err != nil {
		return nil, "", err
	}
	env, reason, err := compilers(ctx, t, filepath.Join(dir, "compilers"))
	if reason != "" || err != nil {
		return []string{server, host}, reason, err
	}
	native, err := m.build(ctx, t, "ipfs-accelerate-native", dir, append(env, "CGO_ENABLED=1")...)
	return []string{server, host, native}, "", err
}
