package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/workloads"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/hub"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/kubo"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/peers"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore/trustless"
)

// The other two binaries: one holds what needs C, one the libp2p host.
const (
	nativeName = "ipfs-accelerate-native"
	hostName   = "ipfs-accelerate-p2p"
)

// installRuntime says how ONNX Runtime is installed.
const installRuntime = "run: ipfs-accelerate runtime install"

// An app is the engine and what it stands on.
type app struct {
	home   string
	log    *slog.Logger
	engine *engine.Engine
	store  *ipfsstore.Store
	db     *benchdb.DB
	runner *runner.Provider
	others []*runner.Provider // of the accelerators
	native string
	peers  *peers.Client // does nothing until it is needed
	out    *logOutput
	watch  *observers // nil where nobody asks
	conf   atomic.Pointer[config.Loaded]
}

// settings are the configuration as it is now.
func (a *app) settings() *config.Loaded { return a.conf.Load() }

// appOptions are what differs between a command and a server.
type appOptions struct {
	conf        *config.Loaded // nil: it is read
	allow       []string       // folders whose files callers may name
	person      bool           // may name any file and waits as long as it takes
	serving     bool           // counts what it does, and tells of it
	syncLimit   time.Duration  // how long a call waits for its work
	runtimeHint string         // how ONNX Runtime is installed
}

// person are the options of a command.
var person = appOptions{person: true, runtimeHint: installRuntime}

// assemble builds the program out of its rooms. The caller closes the app.
func (c *cli) assemble(o appOptions) (*app, error) {
	conf := o.conf
	if conf == nil {
		var err error
		if conf, err = c.configure(); err != nil {
			return nil, err
		}
	}
	a := &app{home: c.dataHome(), native: programPath(conf.Native, nativeName)}
	a.conf.Store(conf)
	var err error
	if a.log, a.out, err = c.logger(conf.Logging); err != nil {
		return nil, err
	}
	a.warn(conf)
	a.peers = peers.New(a.peerOptions())
	sources, err := c.openSources(conf.Config, a.peers)
	if err != nil {
		return nil, err
	}
	origins, err := openOrigins(conf.Config)
	if err != nil {
		return nil, err
	}
	if a.store, err = ipfsstore.Open(filepath.Join(a.home, "store"), ipfsstore.Options{Sources: sources, Origins: origins, MaxBytes: int64(conf.IPFS.StoreMax), Derived: filepath.Join(a.home, "engine", "derived"), LimitRate: int64(conf.IPFS.LimitRate), Logger: a.log}); err != nil {
		return nil, err
	}
	if a.db, err = benchdb.Open(filepath.Join(a.home, "benchdb"), benchdb.Options{
		Command: []string{a.native, "worker"}, Retention: retention(conf.Benchdb), UnconfinedSQL: conf.Benchdb.UnconfinedSQL, Logger: a.log,
	}); err != nil {
		return nil, errors.Join(err, a.store.Close())
	}
	a.runner = runner.New(runner.Options{
		Command: []string{a.native, "runner"}, Library: a.library, RuntimeHint: o.runtimeHint, Logger: a.log,
	})
	if err := a.accelerators(o.runtimeHint); err != nil {
		return nil, errors.Join(err, a.closeRunners(), a.db.Close(), a.store.Close())
	}
	observer, err := a.observe(o.serving)
	if err != nil {
		return nil, errors.Join(usageError{err}, a.closeRunners(), a.db.Close(), a.store.Close())
	}
	a.engine = engine.New(engine.Options{
		Plugins: c.plugIns(a), Models: a.store, Results: a.db, Scratch: a.scratch(sources), Dir: filepath.Join(a.home, "engine"),
		Paths: allowed(append(o.allow, conf.AllowPaths...), o.person), SyncLimit: o.syncLimit, Wait: o.person,
		SessionMemory: int64(conf.Performance.CacheSize), MemoryLimit: int64(conf.Hardware.MemoryLimit), LayoutLimit: int64(conf.Performance.LayoutSize), Concurrency: conf.Performance.ParallelRequests,
		Preferences: preferences(conf.Hardware), Observer: observer, Logger: a.log, Version: Version, Profile: conf.Performance.EnableProfiling, Settings: fingerprint(conf.Config),
	})
	return a, nil
}

// retention turns days into what the database takes: negative is for ever.
func retention(b config.Benchdb) benchdb.Retention {
	days := func(n int) time.Duration {
		if n == 0 {
			return -1
		}
		return time.Duration(n) * 24 * time.Hour
	}
	return benchdb.Retention{Inferences: days(b.InferenceDays), Samples: days(b.SampleDays)}
}

// fingerprint is of the settings that change what is measured.
func fingerprint(c config.Config) string {
	data, err := json.Marshal([]any{c.Hardware, c.Performance, c.ORTLib})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

// plugIns is every plug-in of this program, in one list.
func (c *cli) plugIns(a *app) *engine.Registry {
	r := &engine.Registry{}
	r.RegisterProvider(a.runner)
	for _, p := range a.others {
		r.RegisterProvider(p)
	}
	for _, t := range []engine.Task{
		tasks.FeatureExtraction(), tasks.SentenceSimilarity(), tasks.TextClassification(), tasks.TokenClassification(), tasks.QuestionAnswering(), tasks.FillMask(),
		tasks.ZeroShotClassification(), tasks.TextRanking(), tasks.ImageClassification(), tasks.ObjectDetection(), tasks.ImageSegmentation(),
		tasks.ImageFeatureExtraction(), tasks.ImageToText(), tasks.DepthEstimation(), tasks.ZeroShotImageClassification(),
		tasks.AutomaticSpeechRecognition(), tasks.VoiceActivityDetection(), tasks.AudioClassification(),
		tasks.TabularClassification(), tasks.TabularRegression(),
		tasks.TextGeneration(renderer(a.native)), tasks.Summarization(), tasks.Translation(), tasks.Text2TextGeneration(),
	} {
		r.RegisterTask(t)
	}
	for _, w := range []engine.Workload{
		workloads.Latency(), workloads.Offline(), workloads.Server(), workloads.ColdStart(), workloads.Memory(),
		workloads.Fetch(), workloads.Import(), workloads.Accuracy(),
	} {
		r.RegisterWorkload(w)
	}
	for _, add := range c.plugins {
		add(r)
	}
	return r
}

// scratch makes empty stores beside the real one: on its file system, so that
// files can be linked.
func (a *app) scratch(sources []ipfsstore.Source) func(context.Context) (engine.ModelStore, func() error, error) {
	return func(context.Context) (engine.ModelStore, func() error, error) {
		dir, err := os.MkdirTemp(a.home, "scratch-")
		if err != nil {
			return nil, nil, err
		}
		s, err := ipfsstore.Open(dir, ipfsstore.Options{Sources: sources})
		if err != nil {
			return nil, nil, errors.Join(err, os.RemoveAll(dir))
		}
		return s, func() error { return errors.Join(s.Close(), os.RemoveAll(dir)) }, nil
	}
}

// close ends what the app started, in the order that loses nothing: the work,
// the processes that do it, then what it recorded.
func (a *app) close() error {
	return errors.Join(a.engine.Close(), a.closeRunners(), a.db.Close(), a.peers.Close(), a.store.Close(), a.watch.close(), a.out.close())
}

// with runs f with an app for a person.
func (c *cli) with(f func(*app) error) error {
	a, err := c.assemble(person)
	if err != nil {
		return err
	}
	return errors.Join(f(a), a.close())
}

// dataHome is the data directory.
func (c *cli) dataHome() string {
	if c.home != "" {
		return c.home
	}
	return config.Home()
}

// library finds ONNX Runtime.
func (a *app) library() (string, error) {
	if lib := a.settings().ORTLib; lib != "" {
		if _, err := os.Stat(lib); err != nil {
			return "", engine.Errorf(engine.ErrRuntimeMissing, "%s names a file that is not there", a.settings().Origin("ort_lib").Said()).
				WithHint("correct it or leave it out; then %s", installRuntime)
		}
		return lib, nil
	}
	cpu, err := packs.CPU(packs.Here())
	if err != nil {
		return "", err
	}
	return cpu.Library(a.packs())
}

// programPath finds another binary: where the configuration says, beside this
// one, or on PATH. What is not found is said by the first call that needs it.
func programPath(configured, name string) string {
	if configured != "" {
		return configured
	}
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), name)
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	return name
}

// The names of the sources that have keys of their own.
const (
	localNode = "local-node"
	gateway   = "gateway"
)

// openSources makes the configured sources: a node of this machine first, then
// those of the command line, peers last.
func (c *cli) openSources(conf config.Config, client *peers.Client) ([]ipfsstore.Source, error) {
	var all []config.Source
	if conf.IPFS.LocalNode != "" {
		all = append(all, config.Source{Name: localNode, URL: conf.IPFS.LocalNode})
	}
	for _, s := range c.sources {
		parsed, err := config.ParseSource(s)
		if err != nil {
			return nil, usageError{err}
		}
		all = append(all, parsed)
	}
	all = append(all, conf.Sources...)
	if conf.IPFS.Gateway != "" {
		all = append(all, config.Source{Name: gateway, URL: conf.IPFS.Gateway})
	}
	var out []ipfsstore.Source
	var names []string
	for _, s := range all {
		if slices.Contains(names, s.Name) {
			return nil, usageError{fmt.Errorf("two sources are called %q", s.Name)}
		}
		src, err := openSource(s, time.Duration(conf.IPFS.Timeout))
		if err != nil {
			return nil, usageError{err}
		}
		out, names = append(out, src), append(names, s.Name)
	}
	if !conf.P2P.Enabled {
		return out, nil
	}
	near, err := client.Sources()
	for _, src := range near {
		if slices.Contains(names, src.Name()) {
			return nil, usageError{fmt.Errorf("a source is called %q, as one of p2p is", src.Name())}
		}
	}
	return append(out, near...), err
}

// openOrigins makes what models are fetched from by name.
func openOrigins(conf config.Config) ([]ipfsstore.Origin, error) {
	o := hub.FromEnvironment()
	o.Endpoint, o.Idle = conf.IPFS.HubEndpoint, time.Duration(conf.IPFS.Timeout)
	h, err := hub.New(o)
	if err != nil {
		return nil, usageError{err}
	}
	return []ipfsstore.Origin{h}, nil
}

// openSource makes a source: of a gateway, or of the node that is to be found.
func openSource(s config.Source, idle time.Duration) (ipfsstore.Source, error) {
	if s.Name == localNode && s.URL == config.Auto {
		return kubo.New(s.Name, kubo.Options{Idle: idle})
	}
	return trustless.New(s.Name, s.URL, trustless.Options{Idle: idle, Tier: tierOf(s.Name)})
}

// tierOf is the level of the cache that a source is of; "" is far away.
func tierOf(source string) string {
	if source == localNode {
		return "L3"
	}
	return ""
}
