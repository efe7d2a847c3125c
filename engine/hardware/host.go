package hardware

import (
	"context"
	"fmt"
	"runtime"
	"slices"
)

// A Host is what a machine is made of. Sizes are bytes; a nil pointer is
// something that could not be read, never zero.
type Host struct {
	OS     string
	Arch   string
	Kernel string // its release; empty if not known
	CPU    CPUInfo
	Memory Memory
	GPUs   []GPU

	// Platforms says of every platform whether its hardware was seen, in the
	// order of Order.
	Platforms []Platform
}

// CPUInfo describes the processor.
type CPUInfo struct {
	Vendor  string
	Model   string
	Cores   int      // physical
	Threads int      // that this process may use
	Quota   *float64 // CPUs that the control group allows, nil without a limit
	SIMD    []string // such as "avx2" or "neon", sorted

	// Governor says how the clock is chosen, such as "performance"; empty
	// if not known.
	Governor string
}

// Memory describes the main memory.
type Memory struct {
	Total     int64
	Available int64
	Limit     *int64 // of the control group, nil without one
}

// A GPU is a display controller or accelerator that the system lists.
type GPU struct {
	Name   string // as the system names it; vendor and device number where it has no name
	Vendor string
	PCI    string // address, such as "0000:01:00.0"; empty off the PCI bus
	Memory *int64
	Driver string // kernel driver bound to it, empty if none
	Neural bool   // it is a neural processor (NPU), which draws nothing
}

// A Platform is what was seen of one family of accelerators.
type Platform struct {
	Kind     Kind
	Present  bool     // its hardware was seen; whether it works is not known here
	Evidence []string // what was seen, or looked for and not found
	Reason   string   // why it is not present; empty if it is
	Fix      string   // what would make it so; empty if nothing would
}

// Order is the order in which platforms are preferred and reported.
var Order = []Kind{CUDA, OpenVINO, MPS, ROCm, WebGPU, WebNN, Qualcomm, DirectML, CPU}

// GPUsOf lists the GPUs of this machine that a vendor made, by its number of
// the PCI bus, in the bus's order.
func GPUsOf(vendor uint32) []GPU {
	var h Host
	if probeSystem(&h) != nil {
		return nil
	}
	name := pciVendor(fmt.Sprintf("0x%04x", vendor))
	return slices.DeleteFunc(h.GPUs, func(g GPU) bool { return g.Vendor != name })
}

// Probe looks at the machine this runs on.
func Probe(ctx context.Context) (Host, error) {
	h := Host{OS: runtime.GOOS, Arch: runtime.GOARCH}
	if err := probeSystem(&h); err != nil {
		return Host{}, err
	}
	for _, kind := range Order {
		h.Platforms = append(h.Platforms, platform(kind, &h))
	}
	return h, ctx.Err()
}
