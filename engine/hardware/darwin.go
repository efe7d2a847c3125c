package hardware

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// readDarwin fills h in from what sysctl, vm_stat and ioreg print, of which some may be "".
func readDarwin(printed func(name string) string, h *Host) {
	keys := map[string]string{}
	for line := range strings.Lines(printed("sysctl")) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			keys[key] = strings.TrimSpace(value)
		}
	}
	h.Kernel = keys["kern.osrelease"]
	h.CPU = CPUInfo{
		Model: keys["machdep.cpu.brand_string"], Vendor: cpuVendor(keys["machdep.cpu.vendor"]),
		Cores: number(keys["hw.physicalcpu"]), Threads: number(keys["hw.logicalcpu"]), SIMD: simd(darwinFeatures(keys)),
	}
	if strings.HasPrefix(h.CPU.Model, "Apple") {
		h.CPU.Vendor = "Apple"
	}
	h.Memory = Memory{Total: int64(number(keys["hw.memsize"])), Available: darwinAvailable(printed("vm_stat"))}
	h.GPUs = darwinGPUs(printed("ioreg"))
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// darwinFeatures lists what the processor can do, by the names of Linux.
func darwinFeatures(keys map[string]string) []string {
	out := strings.Fields(strings.ToLower(keys["machdep.cpu.features"] + " " + keys["machdep.cpu.leaf7_features"]))
	for key, name := range map[string]string{
		"hw.optional.neon": "neon", "hw.optional.AdvSIMD": "neon", "hw.optional.arm.FEAT_I8MM": "i8mm",
		"hw.optional.avx2_0": "avx2", "hw.optional.avx512f": "avx512f",
	} {
		if keys[key] == "1" {
			out = append(out, name)
		}
	}
	for i, f := range out {
		if f == "avx1.0" {
			out[i] = "avx"
		}
	}
	return out
}

var (
	pageSize  = regexp.MustCompile(`page size of (\d+) bytes`)
	freePages = regexp.MustCompile(`Pages (?:free|inactive|speculative|purgeable): +(\d+)\.`)
)

// darwinAvailable is the memory that is free or can be taken from caches, in
// bytes.
func darwinAvailable(vmStat string) int64 {
	size := pageSize.FindStringSubmatch(vmStat)
	if size == nil {
		return 0
	}
	var pages int64
	for _, m := range freePages.FindAllStringSubmatch(vmStat, -1) {
		pages += int64(number(m[1]))
	}
	return pages * int64(number(size[1]))
}

var (
	ioregObject = regexp.MustCompile(`(?m)^\+-o (\w+)`)
	ioregString = regexp.MustCompile(`"(model|IOClass)" = <?"([^"]*)"`)
	ioregCores  = regexp.MustCompile(`"gpu-core-count" = (\d+)`)
)

// darwinGPUs lists the accelerators of the I/O registry. Their memory is the
// processor's on Apple's own.
func darwinGPUs(ioreg string) []GPU {
	var out []GPU
	starts := append(ioregObject.FindAllStringIndex(ioreg, -1), []int{len(ioreg), len(ioreg)})
	for i, start := range starts[:len(starts)-1] {
		text := ioreg[start[0]:starts[i+1][0]]
		values := map[string]string{}
		for _, m := range ioregString.FindAllStringSubmatch(text, -1) {
			values[m[1]] = m[2]
		}
		g := GPU{Name: values["model"], Vendor: darwinVendor(values["model"]), Driver: values["IOClass"]}
		if g.Name == "" {
			continue
		}
		if cores := ioregCores.FindStringSubmatch(text); cores != nil {
			g.Name += fmt.Sprintf(" (%s cores)", cores[1])
		}
		out = append(out, g)
	}
	return out
}

// darwinVendor is who made a GPU, by its name.
func darwinVendor(model string) string {
	for _, vendor := range []string{"Apple", "AMD", "Intel", "NVIDIA"} {
		if strings.Contains(model, vendor) {
			return vendor
		}
	}
	return ""
}
