package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// A Provider runs models with the ONNX Runtime library of this process.
type Provider struct {
	as     packs.Provider
	offers []offer
}

var _ engine.ExecutionProvider = (*Provider)(nil)

// What this process has loaded: a second library can't be.
var (
	loadMu  sync.Mutex // guards what follows
	library string     // "" before the first Load
	plugins = map[string]bool{}
)

// Load loads the library at path, and the plug-in of an execution provider if
// that is one, and makes them ready for sessions. A process can only have one
// library: a second call must name the same. A library that is not there, or
// does not load, is ErrRuntimeMissing; a provider without a device is
// ErrDeviceUnavailable.
func Load(path string, as packs.Provider) (*Provider, error) {
	loadMu.Lock()
	defer loadMu.Unlock()
	if err := loadOnce(path); err != nil {
		return nil, err
	}
	p := &Provider{as: as}
	if as.Name == "" {
		p.offers = []offer{{Device: processor()}}
		return p, nil
	}
	if !plugins[as.Plugin] {
		if err := register(as); err != nil {
			return nil, err
		}
		plugins[as.Plugin] = true
	}
	var err error
	p.offers, err = offers(as)
	return p, err
}

func processor() hardware.Device {
	return hardware.Device{
		ID: "cpu", Kind: hardware.CPU, Name: hardware.CPUName(), Driver: "ONNX Runtime " + ort.GetVersion(),
		Precisions: []string{"fp32", "fp16", "int8"},
	}
}

// loadOnce loads the library; loadMu is held.
func loadOnce(path string) error {
	if library == path && path != "" {
		return nil
	}
	if library != "" {
		return engine.Errorf(engine.ErrInternal, "another ONNX Runtime library is loaded already")
	}
	if _, err := os.Stat(path); err != nil {
		return engine.Errorf(engine.ErrRuntimeMissing, "there is no ONNX Runtime library %s", filepath.Base(path))
	}
	if err := load(path); err != nil {
		return engine.Errorf(engine.ErrRuntimeMissing, "%s is not an ONNX Runtime library that this program can use: %s", filepath.Base(path), tidy(err.Error(), ""))
	}
	library = path
	return nil
}

// load loads the library without its telemetry, which would write a database
// to the home folder and send what runs here to its makers. The environment
// variable alone keeps all of it from starting.
func load(path string) error {
	if err := os.Setenv("ORT_DISABLE_TELEMETRY", "1"); err != nil {
		return err
	}
	ort.SetSharedLibraryPath(path)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return err
	}
	base, err := apiBase(path)
	if err != nil {
		return err
	}
	if err := check(C.shim_init(base)); err != nil {
		return err
	}
	return registerArena()
}

// registerArena makes the arena that sessions allocate from. It grows by what
// is asked for: one that doubles takes far more than a model needs, and after
// a request that was too large nothing fits a memory limit any more.
func registerArena() error {
	const sameAsRequested, usual = 1, -1
	config, err := ort.NewArenaCfg(0, sameAsRequested, usual, usual)
	if err != nil {
		return err
	}
	defer config.Destroy()
	memory, err := ort.GetMemoryInfo()
	if err != nil {
		return err
	}
	return ort.CreateAndRegisterAllocator(memory, config)
}

// Name returns "onnx".
func (p *Provider) Name() string { return "onnx" }

// Devices returns the device "cpu", or those of the execution provider.
func (p *Provider) Devices(context.Context) ([]hardware.Device, error) {
	out := make([]hardware.Device, len(p.offers))
	for i, o := range p.offers {
		out[i] = o.Device
	}
	return out, nil
}

// offer is the one of a device, or the first.
func (p *Provider) offer(id string) (offer, error) {
	for _, o := range p.offers {
		if o.ID == id || id == "" {
			return o, nil
		}
	}
	return offer{}, engine.Errorf(engine.ErrDeviceUnavailable, "the device %q is not here", id)
}

// NewSession loads a model. Models with inputs or outputs that are not dense
// tensors are ErrUnsupported; those of which an accelerator takes no node, or
// that it can't load, are ErrDeviceUnavailable.
func (p *Provider) NewSession(ctx context.Context, m *engine.Model, file string, plan engine.Plan) (engine.Session, error) {
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	if !filepath.IsLocal(file) {
		return nil, engine.Errorf(engine.ErrModelInvalid, "the file %q is not within the model's folder", file)
	}
	device, err := p.offer(plan.Device.ID)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(m.Dir, filepath.FromSlash(file))
	settings := p.settings(path, plan)
	s := &session{graphs: settings[p.as.Graphs] != "", relaid: settings[p.as.ChannelsLast] != "", precisions: p.as.Precisions, composites: map[string]composite{}}
	if p.as.Name == "" {
		s.pasts, s.doubles = inPlace(path), graphOf(path).Remembers()
	}
	bound, err := p.load(path, plan, device, settings)
	if err != nil && s.graphs { // a model of which the processor computes some can't be recorded
		s.graphs = false
		delete(settings, p.as.Graphs)
		bound, err = p.load(path, plan, device, settings)
	}
	if err != nil {
		return nil, p.loadError(err, m.Dir, file)
	}
	s.bound, s.device = bound, device.device
	if s.memory, err = memoryOf(device); err != nil {
		return nil, errors.Join(err, bound.Destroy())
	}
	if err := s.describe(); err != nil {
		return nil, errors.Join(err, bound.Destroy())
	}
	if err := p.placed(s); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// settings are those that the provider gets for a model.
func (p *Provider) settings(path string, plan engine.Plan) map[string]string {
	out := map[string]string{}
	maps.Copy(out, p.as.Options)
	maps.Copy(out, p.as.ByPrecision[plan.Precision])
	for k, v := range out {
		out[k] = strings.ReplaceAll(v, packs.Threads, strconv.Itoa(plan.Threads))
	}
	if p.as.Graphs == "" && p.as.ChannelsLast == "" {
		return out
	}
	g := graphOf(path)
	if p.as.Graphs != "" && canRecord(g) {
		out[p.as.Graphs] = "1"
	}
	if p.as.ChannelsLast != "" && convolves(g) {
		out[p.as.ChannelsLast] = "1"
	}
	return out
}

// load loads a file.
func (p *Provider) load(path string, plan engine.Plan, device offer, settings map[string]string) (*ort.DynamicAdvancedSession, error) {
	options, err := p.sessionOptions(path, plan, device, settings)
	if err != nil {
		return nil, fmt.Errorf("session options: %w", err)
	}
	defer options.Destroy() //nolint:errcheck // it always works
	return ort.NewDynamicAdvancedSession(path, nil, nil, options)
}

// sessionOptions are what facts about small and shared machines ask for: no
// thread spins between runs, but of models that are run step by step, and the
// arena stays on.
func (p *Provider) sessionOptions(path string, plan engine.Plan, device offer, settings map[string]string) (*ort.SessionOptions, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		o.SetLogSeverityLevel(ort.LoggingLevelError),
		o.SetIntraOpNumThreads(plan.Threads), // 0 is one per physical core to ONNX Runtime too
		o.SetInterOpNumThreads(1),
		o.SetCpuMemArena(true),
		o.AddSessionConfigEntry("session.record_ep_graph_assignment_info", "1"),
	)
	if err == nil && !graphOf(path).Remembers() {
		err = errors.Join(o.AddSessionConfigEntry("session.force_spinning_stop", "1"), p.allocate(o))
	}
	if err == nil && p.as.Name != "" {
		err = device.add(p.as, settings, o)
	}
	if err == nil && plan.Profile != "" {
		err = o.EnableProfiling(plan.Profile)
	}
	if err != nil {
		return nil, errors.Join(err, o.Destroy())
	}
	return o, nil
}

// allocate has a session on the processor use the arena of registerArena, but
// of models that are run step by step: an arena that grows by what is asked for
// has no place for a past that is a little longer each time. For sessions on
// other devices it would mean memory without any arena, got and given back in
// every run.
func (p *Provider) allocate(o *ort.SessionOptions) error {
	if p.as.Name != "" {
		return nil
	}
	return o.AddSessionConfigEntry("session.use_env_allocators", "1")
}

// check turns a message of the shim into an error, and frees it.
func check(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}
