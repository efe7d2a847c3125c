package packs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A Pack is what one kind of runner loads.
type Pack struct {
	Name    string        // as it is installed by, such as "openvino"
	Kind    hardware.Kind // of the devices it drives
	Version string        // of the libraries, as they are known by
	License string

	// Provider says how ONNX Runtime is given the execution provider.
	Provider Provider

	// nodes are device nodes, as patterns, and environment variables of
	// which one must be there for a device to be; none means that it can't
	// be told so simply.
	nodes, variables []string

	// Needs says what else must be on the machine, for people; "" is
	// nothing.
	Needs string

	base  *Pack   // whose core and files this one uses too; nil if it has its own
	pkg   archive // where its files come from; the zero value if all are the base's
	files []file  // the core first, unless that is the base's
}

// A Provider says how ONNX Runtime is given an execution provider. In JSON it
// is handed to a runner.
type Provider struct {
	Kind hardware.Kind `json:"kind"`

	// Name is ONNX Runtime's for the execution provider, such as
	// "CUDAExecutionProvider"; "" is the CPU's, which every core has.
	Name string `json:"name"`

	// Version is the pack's, which tells drivers apart.
	Version string `json:"version"`

	// Generic is the name by which a provider is appended that is part of
	// the core, such as "WebGPU".
	Generic string `json:"generic,omitempty"`

	// Listed says that the core lists a device of its own where there is
	// hardware: without one, the provider can only drive a software adapter.
	Listed bool `json:"listed,omitempty"`

	// Plugin is the library to register, for a provider that is a plug-in;
	// its path, in [Table]
	// relative to the folder of packs.
	Plugin string `json:"plugin,omitempty"`

	// Options go to the provider as they are, [Threads] in them replaced by
	// how many threads a run gets.
	Options map[string]string `json:"options,omitempty"`

	// Graphs is the option by which the provider records runs that are
	// repeated and computes them without its host's help; "" if it can't.
	Graphs string `json:"graphs,omitempty"`

	// ChannelsLast is the option by which convolutions are computed with the
	// channels last, as tensor cores have them; "" if there is none.
	ChannelsLast string `json:"channels_last,omitempty"`

	// ByPrecision are options that take the place of others where it is
	// asked for.
	ByPrecision map[string]map[string]string `json:"by_precision,omitempty"`

	// Precisions are what the devices compute in.
	Precisions []string `json:"precisions"`

	// Simulated says that no hardware is driven at all.
	Simulated bool `json:"simulated,omitempty"`

	// Folders are those that libraries are loaded from while it works.
	Folders []string `json:"folders,omitempty"`

	// GPU says that a driver does the work: the runner's memory is then not
	// bounded, since drivers map far more than they use, and it keeps the
	// device nodes and the driver's files.
	GPU bool `json:"gpu,omitempty"`
}

// PackageURL names the package that the pack's files come from, in the way of
// lists of parts, such as "pkg:pypi/onnxruntime@1.32.0".
func (p *Pack) PackageURL() string {
	return "pkg:" + p.pkg.client.registry + "/" + p.pkg.name + "@" + p.pkg.version
}

// An archive is a package of a registry.
type archive struct {
	client        client
	name, version string
	file          string // what it is called when fetched
	bytes         int64
	sha256        string
}

// A file is one of a pack: where it lies in the package, where in the folder
// of packs, and what it has to be.
type file struct {
	from, to string
	bytes    int64
	sha256   string
}

// library is the core, relative to the folder of packs.
func (p *Pack) library() string {
	if p.base != nil {
		return p.base.library()
	}
	return p.files[0].to
}

// ProviderIn is the pack's Provider with its paths, where the folder of packs
// is dir.
func (p *Pack) ProviderIn(dir string) Provider {
	out := p.Provider
	out.Folders = p.folders(dir)
	if out.Version = p.Version; out.Plugin != "" {
		out.Plugin = filepath.Join(dir, filepath.FromSlash(out.Plugin))
	}
	return out
}

// Plausible says whether the machine may have a device of the pack, without
// loading anything: ErrDeviceUnavailable says what is not there.
func (p *Pack) Plausible() error {
	if len(p.nodes) == 0 {
		return nil
	}
	for _, pattern := range p.nodes {
		if found, _ := filepath.Glob(pattern); len(found) > 0 { // the patterns are right
			return nil
		}
	}
	for _, name := range p.variables {
		if os.Getenv(name) != "" {
			return nil
		}
	}
	return engine.Errorf(engine.ErrDeviceUnavailable, "there is no device node for %s: none of %s", p.Kind, strings.Join(p.nodes, ", ")).
		WithHint("it needs %s", p.Needs)
}

// Library returns the path of the core that [Pack.Install] put into dir, or
// ErrRuntimeMissing if any of the pack's files is not there. It does not hash
// them again.
func (p *Pack) Library(dir string) (string, error) {
	if missing := p.Missing(dir); len(missing) > 0 {
		return "", engine.Errorf(engine.ErrRuntimeMissing, "%s is not installed", p.Title())
	}
	return filepath.Join(dir, filepath.FromSlash(p.library())), nil
}

// Title is what the pack is called in messages.
func (p *Pack) Title() string {
	if p.Kind == hardware.CPU {
		return "ONNX Runtime " + p.Version
	}
	return "the pack " + p.Name + " " + p.Version
}

// Missing lists the pack's files that are not in dir, or not whole, relative
// to it.
func (p *Pack) Missing(dir string) []string {
	var out []string
	if p.base != nil {
		out = p.base.Missing(dir)
	}
	for _, f := range p.files {
		if info, err := os.Stat(f.installed(dir)); err != nil || info.Size() != f.bytes {
			out = append(out, f.to)
		}
	}
	return out
}

// folders are those of dir that have libraries.
func (p *Pack) folders(dir string) []string {
	var out []string
	for _, f := range p.files {
		if d := filepath.Dir(f.installed(dir)); len(out) == 0 || out[len(out)-1] != d {
			out = append(out, d)
		}
	}
	if p.base != nil {
		out = append(out, p.base.folders(dir)...)
	}
	return out
}

// Bytes is what the pack's own files take.
func (p *Pack) Bytes() int64 {
	var n int64
	for _, f := range p.files {
		n += f.bytes
	}
	return n
}

// Verified is [Pack.Library], but hashes what is installed again:
// ErrHashMismatch says that it has changed.
func (p *Pack) Verified(dir string) (string, error) {
	library, err := p.Library(dir)
	if err != nil {
		return "", err
	}
	for _, f := range p.files {
		if err := f.verify(dir); err != nil {
			return "", err
		}
	}
	if p.base != nil {
		return p.base.Verified(dir)
	}
	return library, nil
}

func (f file) installed(dir string) string { return filepath.Join(dir, filepath.FromSlash(f.to)) }

// verify hashes f where it is installed.
func (f file) verify(dir string) error {
	got, err := sum(f.installed(dir))
	if err != nil {
		return fmt.Errorf("verify ONNX Runtime: %w", err)
	}
	if got != f.sha256 {
		return engine.Errorf(engine.ErrHashMismatch, "%s has SHA-256 %s, not %s", f.to, got, f.sha256)
	}
	return nil
}

// sum is the SHA-256 of a file, in hex.
func sum(path string) (string, error) {
	in, err := os.Open(path)
	if err != nil {
		return "", errors.Unwrap(err) // without the path
	}
	defer in.Close() // read-only
	h := sha256.New()
	if _, err := io.Copy(h, in); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
