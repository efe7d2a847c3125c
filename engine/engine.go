package engine

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// Options configure an engine. Plugins, Models, Results and Dir are needed.
type Options struct {
	Plugins *Registry
	Models  ModelStore
	Results ResultLog

	// Scratch makes an empty store with the sources of Models, and what
	// removes it, to measure in. It may be nil.
	Scratch func(context.Context) (ModelStore, func() error, error)

	// Dir is a folder of the engine's own, for the canary model and the
	// files that runs make.
	Dir string

	// Paths says which files callers may name. The zero value allows none.
	Paths Paths

	// SyncLimit is how long a call waits for its own work before it answers
	// "running" and goes on. Zero means as long as it takes.
	SyncLimit time.Duration

	// Wait has every call wait for its work, asynchronous ones too: for a
	// program that ends with its call.
	Wait bool

	// SessionMemory bounds the bytes of idle sessions kept open. Zero means
	// half of the machine's memory, which is also the most.
	SessionMemory int64

	// MemoryLimit bounds the bytes of all sessions together: idle ones are
	// closed to keep to it, what does not fit then is ErrOutOfMemory. Zero
	// means no limit.
	MemoryLimit int64

	// LayoutLimit bounds what copies of models take on disk, in Dir/derived,
	// that load quicker than the models do. Zero means that none are made.
	LayoutLimit int64

	// Preferences say what to run on until SetPreferences says otherwise.
	Preferences Preferences

	// Observer is told what was done. It may be nil.
	Observer Observer

	// Concurrency bounds how many runs compute at once. Zero means one per
	// processor core.
	Concurrency int

	Logger  *slog.Logger // nil means silence
	Profile bool         // each run in a session of its own, whose profile is a file of the run
	Version string       // of the program, recorded with measurements

	// Settings are a fingerprint of the program's configuration: measurements
	// under others are of other software. It may be empty.
	Settings string
}

// An Engine serves the five tools. It is safe for concurrent use.
type Engine struct {
	o        Options
	log      *slog.Logger
	base     context.Context //nolint:containedctx // the lifetime of work that outlives its call
	stop     context.CancelFunc
	sessions *sessionCache
	loaded   *modelCache
	compute  *gate
	host     func() (hardware.Host, error)
	env      func() environment
	programs sync.Map // the software environment of each driver
	told     sync.Map // ids of the environments that were recorded
	verified verdicts
	proofs   proofs
	layouts  layouts
	files    runFiles
	load     load
	health   health

	preferences atomic.Pointer[Preferences]

	mu     sync.Mutex // guards runs and closed
	runs   map[string]*run
	closed bool
	work   sync.WaitGroup
}

// New returns an engine. It starts nothing: devices are looked at, and
// processes started, when the first call needs them.
func New(o Options) *Engine {
	log := o.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{o: o, log: log, runs: map[string]*run{}, files: runFiles{dir: o.Dir}, health: newHealth()}
	e.SetPreferences(o.Preferences)
	e.base, e.stop = context.WithCancel(context.Background())
	e.host = sync.OnceValues(func() (hardware.Host, error) { return hardware.Probe(e.base) })
	e.env = sync.OnceValue(e.environment)
	e.sessions = newSessionCache(e.sessionMemory, o.MemoryLimit)
	e.loaded = newModelCache()
	e.proofs.path = filepath.Join(o.Dir, "proofs.json")
	e.layouts.dir, e.layouts.limit = filepath.Join(o.Dir, "derived"), o.LayoutLimit
	e.compute = newGate(e.concurrency())
	return e
}

// Close cancels work in the background, waits for it and closes all sessions.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop()
	e.work.Wait()
	err := e.sessions.close()
	e.loaded.close()
	return err
}

func (e *Engine) sessionMemory() int64 {
	most := int64(1 << 30)
	if h, err := e.host(); err == nil {
		most = usableMemory(h) / 2
	}
	if e.o.SessionMemory > 0 {
		return min(e.o.SessionMemory, most)
	}
	return most
}

// usableMemory is the machine's memory or its control group's, in bytes.
func usableMemory(h hardware.Host) int64 {
	if h.Memory.Limit != nil && *h.Memory.Limit < h.Memory.Total {
		return *h.Memory.Limit
	}
	return h.Memory.Total
}

func (e *Engine) concurrency() int {
	if e.o.Concurrency > 0 {
		return e.o.Concurrency
	}
	h, err := e.host()
	if err != nil {
		return 1
	}
	return threads(h)
}
