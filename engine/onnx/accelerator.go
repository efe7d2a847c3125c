package onnx

// #include "shim.h"
import "C"

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

// An offer is a device of an execution provider, with what adds it to a
// session: nil for one that is added by name.
type offer struct {
	hardware.Device
	device *C.OrtEpDevice
}

// register loads the plug-in of an execution provider.
func register(p packs.Provider) error {
	if p.Plugin == "" {
		return nil
	}
	name, path := C.CString(p.Name), C.CString(p.Plugin)
	defer C.free(unsafe.Pointer(name))
	defer C.free(unsafe.Pointer(path))
	if err := check(C.shim_register(name, path)); err != nil {
		return engine.Errorf(engine.ErrRuntimeMissing, "the execution provider %s can't be loaded: %s", p.Name, tidy(err.Error(), ""))
	}
	return nil
}

// maxDevices bounds the devices that are looked at.
const maxDevices = 64

// offers lists the devices of an execution provider.
func offers(p packs.Provider) ([]offer, error) {
	found := make([]C.shim_device, maxDevices)
	var n C.size_t
	if err := check(C.shim_devices(&found[0], maxDevices, &n)); err != nil {
		return nil, engine.Errorf(engine.ErrInternal, "list devices: %w", err)
	}
	var out []offer
	for _, d := range found[:min(n, maxDevices)] {
		if C.GoString(d.provider) != p.Name {
			continue
		}
		o := offer{device(p), d.device}
		o.ID = deviceID(p.Kind, int(d._type), len(out))
		o.Name = strings.TrimSpace(C.GoString(d.description))
		o.describe(d, len(out))
		out = append(out, o)
	}
	if len(out) > 0 || p.Generic == "" {
		return out, nil
	}
	return byName(p)
}

// describe says what the n-th device of a provider is, in the system's words
// where it has any.
func (o *offer) describe(d C.shim_device, n int) {
	switch {
	case d._type == C.OrtHardwareDeviceType_CPU:
		o.Name = hardware.CPUName()
	case o.Name == "":
		o.Name = strings.TrimSpace(C.GoString(d.vendor) + " " + typeName(int(d._type)))
	}
	if gpus := hardware.GPUsOf(uint32(d.vendor_id)); d._type == C.OrtHardwareDeviceType_GPU && n < len(gpus) {
		o.Name = gpus[n].Name
		if gpus[n].Memory != nil {
			o.Memory = *gpus[n].Memory
		}
	}
}

// byName is the device of a provider that the library does not list but has.
func byName(p packs.Provider) ([]offer, error) {
	o := offer{Device: device(p)}
	o.ID = deviceID(p.Kind, C.OrtHardwareDeviceType_CPU, 0)
	o.Name = hardware.CPUName()
	if !p.GPU {
		return []offer{o}, nil
	}
	o.Name = string(p.Kind)
	if p.Listed {
		adapter := softwareAdapter()
		if adapter == "" {
			return nil, engine.Errorf(engine.ErrDeviceUnavailable, "%s finds no GPU with a driver that it can use", p.Generic).
				WithHint("install the GPU's Vulkan driver and the loader libvulkan.so.1")
		}
		o.Name, o.Simulated = "software adapter "+adapter, true
	}
	return []offer{o}, nil
}

// softwareAdapter is the Vulkan driver that the environment names, "" if it
// names none.
func softwareAdapter() string {
	for _, name := range []string{"VK_DRIVER_FILES", "VK_ICD_FILENAMES"} {
		if v := os.Getenv(name); v != "" {
			return strings.TrimSuffix(v[strings.LastIndexByte(v, '/')+1:], ".json")
		}
	}
	return ""
}

// software are Vulkan drivers that compute on the processor.
var software = []string{"swiftshader", "lvp"}

func device(p packs.Provider) hardware.Device {
	simulated := p.Simulated
	if p.Listed {
		adapter := softwareAdapter()
		simulated = simulated || slices.ContainsFunc(software, func(s string) bool { return strings.Contains(adapter, s) })
	}
	return hardware.Device{
		Kind: p.Kind, Driver: fmt.Sprintf("%s %s on ONNX Runtime %s", p.Kind, p.Version, ort.GetVersion()),
		Precisions: p.Precisions, Simulated: simulated,
	}
}

// deviceID numbers the devices of a kind. OpenVINO's go by what they are.
func deviceID(kind hardware.Kind, hardwareType, n int) string {
	if kind == hardware.OpenVINO {
		return string(kind) + ":" + typeName(hardwareType)
	}
	return fmt.Sprintf("%s:%d", kind, n)
}

func typeName(hardwareType int) string {
	switch hardwareType {
	case C.OrtHardwareDeviceType_GPU:
		return "gpu"
	case C.OrtHardwareDeviceType_NPU:
		return "npu"
	}
	return "cpu"
}

// add has the options use a device, which gets settings of its own.
func (o offer) add(p packs.Provider, settings map[string]string, options *ort.SessionOptions) error {
	inner := reflect.ValueOf(options).Elem().FieldByName("o")
	if inner.Kind() != reflect.Pointer {
		return engine.Errorf(engine.ErrInternal, "this version of onnxruntime_go keeps its options elsewhere")
	}
	c := (*C.OrtSessionOptions)(inner.UnsafePointer())
	keys := slices.Sorted(maps.Keys(settings))
	var names, values []*C.char
	defer func() { freeNames(append(names, values...)) }()
	for _, k := range keys {
		names, values = append(names, C.CString(k)), append(values, C.CString(settings[k]))
	}
	if o.device != nil {
		return check(C.shim_append(c, o.device, first(names), first(values), C.size_t(len(names))))
	}
	generic := C.CString(p.Generic)
	defer C.free(unsafe.Pointer(generic))
	return check(C.shim_append_name(c, generic, first(names), first(values), C.size_t(len(names))))
}

// assignment counts the nodes of the session by the kind of device that runs
// them.
func (s *session) assignment(p packs.Provider) (map[string]int, error) {
	nodes := map[string]int{}
	for i := C.size_t(0); ; i++ {
		var provider *C.char
		var n C.size_t
		if err := check(C.shim_assigned(s.c, i, &provider, &n)); err != nil {
			return nil, err
		}
		if provider == nil {
			return nodes, nil
		}
		kind := hardware.CPU
		if C.GoString(provider) == p.Name {
			kind = p.Kind
		}
		nodes[string(kind)] += int(n)
	}
}

// placed finds out where the nodes of a session run. An accelerator that took
// none is of no use: ONNX Runtime would silently run all on the processor.
func (p *Provider) placed(s *session) error {
	nodes, err := s.assignment(p.as)
	if err != nil {
		return engine.Errorf(engine.ErrInternal, "ask where nodes run: %w", err)
	}
	if s.relaid { // what was laid out anew is not counted
		return nil
	}
	s.info.Nodes = nodes
	if p.as.Name != "" && nodes[string(p.as.Kind)] == 0 && !p.unlisted() {
		return engine.Errorf(engine.ErrDeviceUnavailable, "%s takes none of the model's nodes: all %d stay on the cpu", p.as.Kind, nodes[string(hardware.CPU)])
	}
	return nil
}

// unlisted reports whether the library leaves the provider's nodes out of what
// it says: versions before 1.31 do so with WebGPU's.
func (p *Provider) unlisted() bool { return p.as.Kind == hardware.WebGPU }

// loadError says why a model could not be loaded. What an accelerator can't
// load, the processor may.
func (p *Provider) loadError(err error, dir, file string) error {
	if p.as.Name == "" || isMemory(err.Error()) {
		return loadError(err, dir, file)
	}
	return engine.Errorf(engine.ErrDeviceUnavailable, "%s can't load %s: %s", p.as.Kind, file, tidy(err.Error(), dir))
}
