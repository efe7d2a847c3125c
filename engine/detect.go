package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A DetectRequest asks what hardware is here.
type DetectRequest struct {
	Platforms []hardware.Kind `json:"platforms,omitempty" jsonschema:"description=Check only these; the others are listed as last seen,enum=cuda,enum=rocm,enum=mps,enum=openvino,enum=qualcomm,enum=webnn,enum=webgpu,enum=directml,enum=cpu"`
	Refresh   bool            `json:"refresh,omitempty" jsonschema:"description=Run the canary models again"`
	Detail    string          `json:"detail,omitempty" jsonschema:"enum=concise,enum=full,default=concise"`
}

// A Detection says what hardware is here.
type Detection struct {
	Common
	Host      HostInfo  `json:"host"`
	Platforms Platforms `json:"platforms"`
	Best      string    `json:"best"`
	CheckedAt time.Time `json:"checked_at"`
}

// HostInfo describes the machine.
type HostInfo struct {
	OS      string     `json:"os"`
	Arch    string     `json:"arch"`
	CPU     CPUInfo    `json:"cpu"`
	Memory  MemoryInfo `json:"memory"`
	GPUs    []GPUInfo  `json:"gpus"`
	Sandbox string     `json:"sandbox" jsonschema:"description=What a process gives up before it opens a model"`
}

// CPUInfo describes the processor.
type CPUInfo struct {
	Vendor  string   `json:"vendor"`
	Model   string   `json:"model"`
	Cores   int      `json:"cores"`
	Threads int      `json:"threads"`
	Quota   *float64 `json:"quota" jsonschema:"nullable"`
	SIMD    []string `json:"simd"`
}

// MemoryInfo describes the main memory.
type MemoryInfo struct {
	TotalBytes     int64  `json:"total_bytes"`
	AvailableBytes int64  `json:"available_bytes"`
	LimitBytes     *int64 `json:"limit_bytes" jsonschema:"nullable"`
}

// GPUInfo describes a display controller or accelerator.
type GPUInfo struct {
	Name        string  `json:"name"`
	Vendor      string  `json:"vendor"`
	PCI         string  `json:"pci"`
	MemoryBytes *int64  `json:"memory_bytes" jsonschema:"nullable"`
	Driver      *string `json:"driver" jsonschema:"nullable"`
}

// Platforms are the nine platforms by priority. In JSON they are an object.
type Platforms []PlatformStatus

// PlatformStatus is what is known of one platform.
type PlatformStatus struct {
	Kind      hardware.Kind `json:"-"`
	Present   bool          `json:"present" jsonschema:"description=Its hardware was seen"`
	Available bool          `json:"available" jsonschema:"description=A canary model ran right on it"`
	Verified  *Verification `json:"verified" jsonschema:"nullable"`
	Simulated bool          `json:"simulated"`
	Devices   []DeviceInfo  `json:"devices"`
	Evidence  []string      `json:"evidence"`
	Reason    string        `json:"reason,omitempty"`
	Fix       string        `json:"fix,omitempty"`
}

// DeviceInfo describes a device that runs models.
type DeviceInfo struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	MemoryBytes int64    `json:"memory_bytes,omitempty"`
	Driver      string   `json:"driver,omitempty"`
	Precisions  []string `json:"precisions"`
}

// MarshalJSON writes an object whose keys keep the order of priority.
func (ps Platforms) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range ps {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(p)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", p.Kind, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// JSONSchema describes the object that MarshalJSON writes.
func (Platforms) JSONSchema() *jsonschema.Schema {
	r := jsonschema.Reflector{DoNotReference: true, Anonymous: true, AllowAdditionalProperties: true, ExpandedStruct: true}
	s := r.Reflect(PlatformStatus{})
	s.Version = ""
	return &jsonschema.Schema{Type: "object", AdditionalProperties: s}
}

// Detect looks at the hardware and runs the canary on every device that a
// provider offers. What can't run is no error: its platform says why.
func (e *Engine) Detect(ctx context.Context, r DetectRequest, _ func(Progress)) (Detection, error) {
	h, err := hardware.Probe(ctx)
	if err != nil {
		return Detection{}, err
	}
	found, missing := e.survey(ctx)
	d := Detection{Host: hostInfo(h), CheckedAt: time.Now().UTC().Truncate(time.Second)}
	checks := map[string]verdict{}
	for _, c := range found {
		wanted := len(r.Platforms) == 0 || slices.Contains(r.Platforms, c.Kind)
		checks[c.ID] = e.verify(ctx, c, wanted, r.Refresh)
	}
	if ctx.Err() != nil {
		return Detection{}, contextError(ctx.Err())
	}
	d.Host.Sandbox = "none"
	for _, p := range h.Platforms {
		st := e.status(p, found, missing[p.Kind])
		st.apply(found, checks)
		d.Platforms = append(d.Platforms, st)
		if st.Available && !st.Simulated && d.Best == "" {
			d.Best = st.Devices[0].ID
		}
	}
	for _, v := range checks {
		if v.sandbox != "" {
			d.Host.Sandbox = v.sandbox
		}
	}
	e.summarize(&d, missing[hardware.CPU])
	e.recordPlatforms(ctx, d)
	if r.Detail != "full" {
		d.concise()
	}
	return d, nil
}

// status joins what was seen of a platform with what its providers offer.
func (e *Engine) status(p hardware.Platform, found []candidate, missing error) PlatformStatus {
	st := PlatformStatus{
		Kind: p.Kind, Present: p.Present, Evidence: p.Evidence, Reason: p.Reason, Fix: p.Fix,
		Devices: []DeviceInfo{},
	}
	for _, c := range found {
		if c.Kind != p.Kind {
			continue
		}
		st.Simulated = c.Simulated
		if !c.Simulated && !st.Present { // such as OpenVINO on a processor of another make
			st.Present, st.Evidence = true, append([]string{"it offers " + c.Name}, st.Evidence...)
		}
		st.Devices = append(st.Devices, DeviceInfo{ID: c.ID, Name: c.Name, MemoryBytes: c.Memory, Driver: c.Driver, Precisions: c.Precisions})
	}
	switch {
	case len(st.Devices) > 0:
		st.Reason, st.Fix = "", ""
	case !st.Present && missing == nil:
	case e.denies(p.Kind):
		info := Explain(denied(p.Kind))
		st.Reason, st.Fix = info.Message, info.Hint
	case missing != nil && st.Present:
		info := Explain(missing)
		st.Reason, st.Fix = info.Message, info.Hint
	case missing != nil:
	default:
		st.Reason = "this version has no execution provider for " + string(p.Kind)
		st.Fix = "use device cpu"
	}
	return st
}

// apply puts the canaries' verdicts into the platform.
func (st *PlatformStatus) apply(found []candidate, checks map[string]verdict) {
	for _, c := range found {
		v, ok := checks[c.ID]
		if c.Kind != st.Kind || !ok {
			continue
		}
		if v.err == nil {
			st.Available, st.Verified = v.ran, v.verification
			continue
		}
		info := Explain(v.err)
		st.Reason, st.Fix = "the canary did not run right: "+info.Message, info.Hint
	}
}

func (e *Engine) summarize(d *Detection, missing error) {
	switch {
	case d.Best != "":
		d.Summary = "models run on " + d.Best
		d.NextSteps = []string{"fetch_model_cid to get a model, or run_inference with one that is here"}
	case missing != nil:
		info := Explain(missing)
		d.Summary = "nothing can run a model yet: " + info.Message
		d.NextSteps = []string{info.Hint}
	default:
		d.Summary = "no device passed its canary; each platform says why"
	}
}

// concise leaves out what an agent rarely needs: evidence of absent platforms
// beyond its first line.
func (d *Detection) concise() {
	for i := range d.Platforms {
		if p := &d.Platforms[i]; len(p.Evidence) > 1 {
			p.Evidence = p.Evidence[:1]
		}
	}
}

func hostInfo(h hardware.Host) HostInfo {
	info := HostInfo{
		OS: h.OS, Arch: h.Arch, GPUs: []GPUInfo{},
		CPU:    CPUInfo{Vendor: h.CPU.Vendor, Model: h.CPU.Model, Cores: h.CPU.Cores, Threads: h.CPU.Threads, Quota: h.CPU.Quota, SIMD: h.CPU.SIMD},
		Memory: MemoryInfo{TotalBytes: h.Memory.Total, AvailableBytes: h.Memory.Available, LimitBytes: h.Memory.Limit},
	}
	for _, g := range h.GPUs {
		gpu := GPUInfo{Name: g.Name, Vendor: g.Vendor, PCI: g.PCI, MemoryBytes: g.Memory}
		if g.Driver != "" {
			gpu.Driver = &g.Driver
		}
		info.GPUs = append(info.GPUs, gpu)
	}
	return info
}

// recordPlatforms notes what was found, so that queries can tell machines
// apart.
func (e *Engine) recordPlatforms(ctx context.Context, d Detection) {
	env := e.env()
	b := benchdb.Batch{Environments: []benchdb.Environment{env.machine, e.software("")}}
	for _, p := range d.Platforms {
		row := benchdb.Platform{
			ID: newID(), Timestamp: d.CheckedAt, Environment: env.machine.ID, Platform: string(p.Kind),
			Present: p.Present, Available: p.Available, Reason: p.Reason,
		}
		if len(p.Devices) > 0 {
			row.Device = p.Devices[0].Name
		}
		b.Platforms = append(b.Platforms, row)
	}
	e.record(ctx, b)
}
