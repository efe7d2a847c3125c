package runner

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// Options say what the children are and what they may use.
type Options struct {
	// Command is the program that is a runner, and its arguments. If it is
	// empty, or can't be found, calls fail with ErrNativeMissing.
	Command []string

	// Name is what the provider is registered under; "" means "onnx".
	Name string

	// Kind is what its devices are; "" means the processor.
	Kind hardware.Kind

	// Accelerator, in JSON, tells the children what execution provider they
	// drive, by the arguments "--provider JSON"; "" is the processor. No
	// spare is kept for one: its libraries take much memory. Its devices are
	// asked for once, or again a minute after that went wrong.
	Accelerator string

	// Shared are folders whose models share one child for each device: a
	// driver takes hundreds of megabytes in each process that uses it. None
	// means that each model has a child of its own, as those elsewhere do.
	// The children are told by the arguments "--shared FOLDER".
	Shared []string

	// Library finds the ONNX Runtime library that the children load; they
	// are told by the arguments "--library PATH". Its error, such as that
	// of the function [Library], is what Devices and NewSession return. It
	// may be nil if the command needs no library.
	Library func() (string, error)

	// RuntimeHint and NativeHint tell the user how to get what is missing.
	RuntimeHint string
	NativeHint  string

	// Env is added to the environment of the children.
	Env []string

	// MemoryLimit is the memory in bytes that a session may use where its
	// plan names none; 0 means no limit.
	MemoryLimit int64

	// CancelGrace is how long a child may take to stop a cancelled run
	// before it is killed; 0 means 2 seconds.
	CancelGrace time.Duration

	// Logger gets what the children do and print. nil means silence.
	Logger *slog.Logger
}

// A Provider runs sessions in child processes. It is safe for concurrent use.
type Provider struct {
	options Options
	log     *slog.Logger
	ctx     context.Context //nolint:containedctx // ends with Close, unlike those of the calls that start children
	cancel  context.CancelFunc
	wait    sync.WaitGroup // background starts of spares
	ready   chan struct{}  // holds a token while nobody uses spare
	spare   *child         // guarded by ready; nil if there is none

	mu       sync.Mutex        // guards what follows, and who uses a child
	children map[*child]bool   // all that run
	shared   map[string]*child // by household, those that further sessions may join

	asked asked // what an accelerator's devices are
}

var _ engine.ExecutionProvider = (*Provider)(nil)

// New returns a provider, which starts no child yet. The caller closes it.
func New(o Options) *Provider {
	if o.Name == "" {
		o.Name = "onnx"
	}
	if o.Kind == "" {
		o.Kind = hardware.CPU
	}
	if o.CancelGrace == 0 {
		o.CancelGrace = 2 * time.Second
	}
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Provider{options: o, log: log, ctx: ctx, cancel: cancel, ready: make(chan struct{}, 1), children: map[*child]bool{}, shared: map[string]*child{}}
	p.ready <- struct{}{}
	return p
}

// Name returns the name of the options.
func (p *Provider) Name() string { return p.options.Name }

// Drives returns the kind of device of the options.
func (p *Provider) Drives() hardware.Kind { return p.options.Kind }

// Devices returns the devices that the runtime has in a child. It fails with
// ErrRuntimeMissing, ErrNativeMissing or ErrRestartNeeded where no child can
// serve.
func (p *Provider) Devices(ctx context.Context) ([]hardware.Device, error) {
	if p.options.Accelerator != "" {
		return p.accelerators(ctx)
	}
	var devices []hardware.Device
	err := p.withSpare(ctx, func(c *child) { devices = c.client.Devices() })
	return devices, err
}

// NewSession loads a model in a child of its own, or in one that it shares.
func (p *Provider) NewSession(ctx context.Context, m *engine.Model, file string, plan engine.Plan) (engine.Session, error) {
	if plan.Memory == 0 {
		plan.Memory = p.options.MemoryLimit
	}
	s := newSession(p, m, file, plan)
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Children returns the process ids of the children that run, the spare
// included.
func (p *Provider) Children() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	pids := make([]int, 0, len(p.children))
	for c := range p.children {
		pids = append(pids, c.pid())
	}
	return pids
}

// Close ends all children and waits for them. Runs in work fail.
func (p *Provider) Close() error {
	p.mu.Lock()
	p.cancel()
	left := slices.Collect(maps.Keys(p.children))
	p.mu.Unlock()
	for _, c := range left {
		c.kill()
	}
	for _, c := range left {
		c.stop()
	}
	p.wait.Wait()
	return nil
}

// withSpare calls f with a spare that lives, which is started if need be. One
// caller at a time.
func (p *Provider) withSpare(ctx context.Context, f func(*child)) error {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return contextError(ctx)
	}
	defer func() { p.ready <- struct{}{} }()
	if err := p.fillSpare(ctx); err != nil {
		return err
	}
	f(p.spare)
	return nil
}

// fillSpare starts a spare if there is none that lives; the caller has p.ready's
// token.
func (p *Provider) fillSpare(ctx context.Context) error {
	if p.spare != nil && !p.spare.alive() {
		p.spare.stop()
		p.spare = nil
	}
	if p.spare == nil {
		c, err := p.spawn(ctx)
		if err != nil {
			return err
		}
		p.spare = c
	}
	return nil
}

// take returns a child that no one uses, or one of the household.
func (p *Provider) take(ctx context.Context, household string) (*child, error) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nil, contextError(ctx)
	}
	defer func() { p.ready <- struct{}{} }()
	if c := p.member(household); c != nil {
		return c, nil
	}
	if err := p.fillSpare(ctx); err != nil {
		return nil, err
	}
	c := p.spare
	p.spare = nil
	p.move(c, household)
	return c, nil
}

// replenish starts a spare in the background.
func (p *Provider) replenish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || p.options.Accelerator != "" {
		return
	}
	p.wait.Go(func() {
		if err := p.withSpare(p.ctx, func(*child) {}); err != nil && p.ctx.Err() == nil {
			p.log.Warn("no spare runner", "error", err)
		}
	})
}

// add notes a child, unless the provider is closed or the child dead.
func (p *Provider) add(c *child) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return errClosed
	}
	if c.alive() {
		p.children[c] = true
	}
	return nil
}

func (p *Provider) remove(c *child) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.children, c)
	p.dissolve(c)
}

// errClosed is what calls get after Close.
var errClosed = engine.Errorf(engine.ErrDeviceUnavailable, "the runner or session is closed")

// contextError says in the engine's words why ctx is done.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return engine.Errorf(engine.ErrDeadline, "the runner took longer than allowed: %w", ctx.Err())
	}
	return engine.Errorf(engine.ErrCancelled, "the request was cancelled: %w", ctx.Err())
}
