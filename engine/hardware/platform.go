package hardware

import "fmt"

// PCI vendor numbers, from the PCI ID repository.
const (
	vendorNVIDIA = "0x10de"
	vendorAMD    = "0x1002"
	vendorIntel  = "0x8086"

	vendorMicrosoft = "0x1414"
)

// platform says what of one platform was seen on h.
func platform(kind Kind, h *Host) Platform {
	p := Platform{Kind: kind}
	switch kind {
	case CPU:
		p.seen("%s, %d cores, %d threads", h.CPU.Model, h.CPU.Cores, h.CPU.Threads)
	case CUDA:
		p.gpu(h, "NVIDIA", "no NVIDIA GPU on the PCI bus", "run on a machine with an NVIDIA GPU and its driver, version 580 or newer")
	case ROCm:
		p.gpu(h, "AMD", "no AMD GPU on the PCI bus", "run on a Linux machine with an AMD GPU that ROCm supports")
	case OpenVINO:
		p.openVINO(h)
	case MPS:
		p.system(h.OS == "darwin" && h.Arch == "arm64", h, "Apple silicon", "run on a Mac with Apple silicon")
	case DirectML:
		p.system(h.OS == "windows", h, "Windows", "run on Windows 10 or newer with a DirectX 12 GPU")
	case Qualcomm:
		p.system(h.CPU.Vendor == "Qualcomm", h, "a Qualcomm processor", "run on a machine with a Qualcomm Hexagon NPU")
	case WebGPU:
		p.anyGPU(h)
	case WebNN:
		p.Evidence = []string{"no browser page is connected"}
		p.Reason, p.Fix = "this version can't reach a browser", "use device cpu"
	}
	return p
}

func (p *Platform) seen(format string, args ...any) {
	p.Present = true
	p.Evidence = append(p.Evidence, fmt.Sprintf(format, args...))
}

func (p *Platform) anyGPU(h *Host) {
	for _, g := range h.GPUs {
		if !g.Neural {
			p.seen("%s, driver %s", g.Name, orNone(g.Driver))
		}
	}
	if !p.Present {
		p.Evidence = append(p.Evidence, "no GPU listed")
		p.Reason, p.Fix = "no GPU", "run on a machine with a GPU and its Vulkan driver"
	}
}

func (p *Platform) gpu(h *Host, vendor, reason, fix string) {
	for _, g := range h.GPUs {
		if g.Vendor == vendor {
			at := ""
			if g.PCI != "" {
				at = " at " + g.PCI
			}
			p.seen("%s%s, driver %s", g.Name, at, orNone(g.Driver))
		}
	}
	if !p.Present {
		p.Evidence = append(p.Evidence, fmt.Sprintf("%d GPUs listed, none by %s", len(h.GPUs), vendor))
		p.Reason, p.Fix = reason, fix
	}
}

func (p *Platform) openVINO(h *Host) {
	if h.CPU.Vendor == "Intel" || h.CPU.Vendor == "AMD" { // its CPU plug-in runs on both
		p.seen("%s processor %s", h.CPU.Vendor, h.CPU.Model)
		return
	}
	p.gpu(h, "Intel", "neither a processor of Intel or AMD nor an Intel GPU", "run on a machine with a processor of Intel or AMD")
}

func (p *Platform) system(present bool, h *Host, what, fix string) {
	if present {
		p.seen("%s/%s, %s", h.OS, h.Arch, h.CPU.Model)
		return
	}
	p.Evidence = append(p.Evidence, fmt.Sprintf("this is %s/%s on %s", h.OS, h.Arch, h.CPU.Model))
	p.Reason, p.Fix = "not "+what, fix
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
