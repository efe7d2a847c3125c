package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// proofs keeps, on disk, what was found out about accelerators: that they
// compute right, which models they do and how fast, and how models run best. It
// is as good as the device and its driver stay what they are, which its keys
// name.
type proofs struct {
	path string

	mu    sync.Mutex // guards known
	known *proofFile // nil until it was read
}

// A proofFile is what is on disk.
type proofFile struct {
	Canaries map[string]canaryProof `json:"canaries"`
	Models   map[string]modelProof  `json:"models"`
	Plans    map[string]tuned       `json:"plans"`
	Runs     map[string]float64     `json:"runs"` // by model and device, the median of a benchmark's runs in milliseconds
}

type canaryProof struct {
	Verification Verification `json:"verification"`
	Sandbox      string       `json:"sandbox"`
}

// A modelProof is how one model file ran on a device, against the processor on
// the same input. Times are the medians of the same few runs, in milliseconds.
type modelProof struct {
	At       time.Time `json:"at"`
	Right    bool      `json:"right"`
	Off      float64   `json:"off"`     // the largest difference
	Allowed  float64   `json:"allowed"` // that it may be
	DeviceMS float64   `json:"device_ms"`
	CPUMS    float64   `json:"cpu_ms"`
}

// deviceKey names a device as it is now: another driver, or another device in
// its place, has another key.
func deviceKey(c candidate) string {
	return strings.Join([]string{c.provider.Name(), c.ID, c.Name, c.Driver}, "|")
}

func modelKey(c candidate, m *Model, file string) string {
	key := strings.Join([]string{deviceKey(c), m.Root, file}, "|")
	if c.asked != "" {
		key += "|" + c.asked
	}
	return key
}

// canary returns the proof that a device computes right.
func (p *proofs) canary(c candidate) (canaryProof, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.read().Canaries[deviceKey(c)]
	return v, ok
}

// model returns how a model's file ran on a device.
func (p *proofs) model(c candidate, m *Model, file string) (modelProof, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.read().Models[modelKey(c, m, file)]
	return v, ok
}

func (p *proofs) setCanary(c candidate, v canaryProof) error {
	return p.change(func(f *proofFile) { f.Canaries[deviceKey(c)] = v })
}

func (p *proofs) setModel(c candidate, m *Model, file string, v modelProof) error {
	return p.change(func(f *proofFile) { f.Models[modelKey(c, m, file)] = v })
}

// plan returns how a model was found to run best on a device.
func (p *proofs) plan(c candidate, m *Model) (tuned, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.read().Plans[modelKey(c, m, "")]
	return v, ok
}

func (p *proofs) setPlan(c candidate, m *Model, v tuned) error {
	return p.change(func(f *proofFile) { f.Plans[modelKey(c, m, "")] = v })
}

// run returns how long a benchmark found a run to take, in milliseconds.
func (p *proofs) run(c candidate, m *Model, file string) (float64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.read().Runs[modelKey(c, m, file)]
	return v, ok
}

func (p *proofs) setRun(c candidate, m *Model, file string, ms float64) error {
	return p.change(func(f *proofFile) { f.Runs[modelKey(c, m, file)] = ms })
}

// read returns what is known; p.mu is held. A file that can't be read is as
// good as none: everything is then proved again.
func (p *proofs) read() *proofFile {
	if p.known != nil {
		return p.known
	}
	f := &proofFile{}
	if data, err := os.ReadFile(p.path); err != nil || json.Unmarshal(data, f) != nil {
		f = &proofFile{}
	}
	if f.Canaries == nil {
		f.Canaries = map[string]canaryProof{}
	}
	if f.Models == nil {
		f.Models = map[string]modelProof{}
	}
	if f.Runs == nil {
		f.Runs = map[string]float64{}
	}
	if f.Plans == nil {
		f.Plans = map[string]tuned{}
	}
	p.known = f
	return f
}

// change adds to what other processes have written meanwhile.
func (p *proofs) change(edit func(*proofFile)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = nil
	f := p.read()
	edit(f)
	data, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	dir := filepath.Dir(p.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".proofs-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // moved away, or only untidy
	_, err = temp.Write(data)
	if closing := temp.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), p.path)
}
