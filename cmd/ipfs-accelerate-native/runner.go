package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/sandbox"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/onnx"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

// maxRuns bounds the runs at once, each of which is a thread. More than
// processors are of little use.
const maxRuns = 16

// runRunner serves models to the parent, with ONNX Runtime: one, or those of
// folders that they share.
func runRunner(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("runner", flag.ContinueOnError)
	library := flags.String("library", "", "path of the ONNX Runtime library")
	provider := flags.String("provider", "{}", "execution provider, as a row of package packs in JSON")
	var c confinement
	flags.Func("shared", "folder whose models may all be opened; may be repeated", func(dir string) error {
		c.shared = append(c.shared, dir)
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(*provider), &c.provider); err != nil {
		return fmt.Errorf("parse --provider: %w", err)
	}
	if err := errors.Join(silenceStdout(), limitStacks()); err != nil {
		return err
	}
	return runner.Serve(ctx, load(*library, c.provider), wire.ServeOptions{
		MaxSessions: c.maxSessions(),
		MaxRuns:     maxRuns,
		BeforeOpen:  c.apply,
		Annotate:    func(info *engine.SessionInfo) { info.Sandbox = c.holds() },
	})
}

// load loads the library, before anything is given up. If that fails the
// parent is told why when it asks for devices.
func load(library string, as packs.Provider) engine.ExecutionProvider {
	p, err := onnx.Load(library, as)
	if err != nil {
		return broken{err}
	}
	return p
}

// A broken provider has no devices, for a reason.
type broken struct{ err error }

func (b broken) Name() string                                       { return "onnx" }
func (b broken) Devices(context.Context) ([]hardware.Device, error) { return nil, b.err }
func (b broken) NewSession(context.Context, *engine.Model, string, engine.Plan) (engine.Session, error) {
	return nil, b.err
}

// topology is what C libraries read to find out how many threads to start.
const topology = "/sys/devices/system/cpu"

// A confinement is what this process gave up. It does so once, for the first
// model that it opens.
type confinement struct {
	provider packs.Provider
	shared   []string // folders of models

	mu     sync.Mutex // guards what follows
	level  sandbox.Level
	common bool // all models of shared can be opened still
}

func (c *confinement) maxSessions() int {
	if len(c.shared) == 0 {
		return 1
	}
	return 0 // what is usual
}

// holds says what was given up.
func (c *confinement) holds() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.level)
}

func (c *confinement) apply(open wire.OpenRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	common := open.Plan.Profile == "" && runner.Within(open.Model.Dir, c.shared)
	if c.level != "" && c.common && common {
		return nil
	}
	if c.level != "" {
		return engine.Errorf(engine.ErrUnsupported, "a runner opens one model, or those of folders that it was given")
	}
	policy, err := c.policy(open, common)
	if err != nil {
		return err
	}
	level, err := sandbox.Apply(policy)
	if err != nil {
		return engine.Errorf(engine.ErrInternal, "confine the runner: %w", err)
	}
	c.level, c.common = level, common
	return nil
}

// policy is what is left to the process: the model's folder, or those of all
// that it may open.
func (c *confinement) policy(open wire.OpenRequest, common bool) (sandbox.Policy, error) {
	if !filepath.IsAbs(open.Model.Dir) {
		return sandbox.Policy{}, engine.Errorf(engine.ErrInvalidArgument, "the model's folder is not an absolute path")
	}
	if _, err := os.Stat(open.Model.Dir); err != nil {
		return sandbox.Policy{}, engine.Errorf(engine.ErrModelInvalid, "the model's folder can't be read")
	}
	p := sandbox.Policy{NoNetwork: true, NoExec: true, NoWrite: true}
	if common {
		p.ReadDirs = slices.Clone(c.shared)
	} else {
		p.ReadDirs, p.ReadFiles = []string{open.Model.Dir}, linked(open.Model.Dir)
	}
	if open.Plan.Profile != "" {
		p.WriteDirs = []string{filepath.Dir(open.Plan.Profile)}
	}
	keep(&p, c.provider)
	if open.Plan.Memory > 0 && !c.provider.GPU {
		debug.SetMemoryLimit(open.Plan.Memory) // has the collector keep to it
		p.MemoryBytes = open.Plan.Memory + stacks(open.Plan.Threads)
	}
	if _, err := os.Stat(topology); err == nil {
		p.ReadDirs = append(p.ReadDirs, topology)
	}
	return p, nil
}

// linked are the files elsewhere that a model's folder has links to: the store
// makes them for files that it leaves where they are.
func linked(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&fs.ModeSymlink != 0 {
			if target, err := filepath.EvalSymlinks(p); err == nil {
				out = append(out, target)
			}
		}
		return nil
	})
	return out
}

// stacks is what the stacks of the threads to come take, which is not the
// model's doing: ONNX Runtime hangs or aborts when it can't make its own.
func stacks(threads int) int64 {
	const ofGo = 16 // the collector's, and those that stand in for a thread within C
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	return int64(threads+maxRuns+ofGo) * stackBytes
}
