package hardware

import (
	"bufio"
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// readLinux fills h from /proc and /sys as they lie in fsys, so that a
// recorded machine can be read on any system. Threads is left alone: it is
// the process's own, not the machine's.
func readLinux(fsys fs.FS, h *Host) {
	h.CPU = linuxCPU(fsys)
	h.Memory = linuxMemory(fsys)
	h.GPUs = linuxGPUs(fsys)
	h.Kernel = readLine(fsys, "proc/sys/kernel/osrelease")
	h.CPU.Governor = readLine(fsys, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	quota, limit := linuxLimits(fsys)
	h.CPU.Quota, h.Memory.Limit = quota, limit
}

// linuxCPU reads /proc/cpuinfo.
func linuxCPU(fsys fs.FS) CPUInfo {
	var c CPUInfo
	cores := map[string]bool{}
	socket := "0"
	eachField(fsys, "proc/cpuinfo", func(key, value string) {
		switch key {
		case "processor":
			c.Threads++
		case "vendor_id":
			c.Vendor = cpuVendor(value)
		case "CPU implementer":
			c.Vendor = armImplementer(value)
		case "model name", "Model", "Hardware":
			if c.Model == "" {
				c.Model = value
			}
		case "physical id":
			socket = value
		case "core id":
			cores[socket+"/"+value] = true
		case "flags", "Features":
			c.SIMD = simd(strings.Fields(value))
		}
	})
	c.Cores = len(cores)
	if c.Cores == 0 {
		c.Cores = c.Threads
	}
	return c
}

// cpuVendor gives the usual name for the vendor string of the CPUID
// instruction.
func cpuVendor(id string) string {
	switch id {
	case "GenuineIntel":
		return "Intel"
	case "AuthenticAMD":
		return "AMD"
	}
	return id
}

// armImplementer names the vendors of Arm's main ID register (MIDR_EL1).
func armImplementer(code string) string {
	names := map[string]string{
		"0x41": "ARM", "0x42": "Broadcom", "0x43": "Cavium", "0x4e": "NVIDIA",
		"0x50": "APM", "0x51": "Qualcomm", "0x53": "Samsung", "0x61": "Apple", "0xc0": "Ampere",
	}
	if n := names[code]; n != "" {
		return n
	}
	return code
}

// simd picks the vector extensions that matter to inference out of the flags
// that the kernel prints.
func simd(flags []string) []string {
	names := map[string]string{
		"avx": "avx", "avx2": "avx2", "avx512f": "avx512f", "avx512_vnni": "avx512_vnni", "avx512vnni": "avx512_vnni",
		"avx_vnni": "avx_vnni", "avx512_bf16": "avx512_bf16", "amx_tile": "amx", "asimd": "neon", "neon": "neon",
		"sve": "sve", "sve2": "sve2", "i8mm": "i8mm",
	}
	var out []string
	for _, f := range flags {
		if n := names[f]; n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// linuxMemory reads /proc/meminfo, whose figures are KiB.
func linuxMemory(fsys fs.FS) Memory {
	var m Memory
	eachField(fsys, "proc/meminfo", func(key, value string) {
		kib, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
		if err != nil {
			return
		}
		switch key {
		case "MemTotal":
			m.Total = kib << 10
		case "MemAvailable":
			m.Available = kib << 10
		}
	})
	return m
}

// linuxGPUs lists the display controllers and processing accelerators (PCI
// classes 0x03 and 0x12) of /sys/bus/pci/devices.
func linuxGPUs(fsys fs.FS) []GPU {
	const dir = "sys/bus/pci/devices"
	entries, err := fs.ReadDir(fsys, dir)
	if err != nil {
		return nil
	}
	var gpus []GPU
	for _, e := range entries {
		class := readLine(fsys, path.Join(dir, e.Name(), "class"))
		if !strings.HasPrefix(class, "0x03") && !strings.HasPrefix(class, "0x12") {
			continue
		}
		g := linuxGPU(fsys, path.Join(dir, e.Name()), e.Name())
		g.Neural = strings.HasPrefix(class, "0x12")
		gpus = append(gpus, g)
	}
	return gpus
}

// wsl names the GPU of a Windows host, whose PCI address, vendor and number
// are those of Microsoft's bridge: NVIDIA's if its driver's library is there.
func wsl(fsys fs.FS, g *GPU) {
	if g.Vendor != vendorMicrosoft {
		return
	}
	if _, err := fs.Stat(fsys, "usr/lib/wsl/lib/libcuda.so.1"); err == nil {
		g.Vendor, g.Name = "NVIDIA", "NVIDIA GPU of the Windows host"
	}
}

// nvidiaVersion matches the version of NVIDIA's kernel module in
// /proc/driver/nvidia/version.
var nvidiaVersion = regexp.MustCompile(`Kernel Module\s+(?:for \S+\s+)?(\d+[\d.]+)`)

func linuxGPU(fsys fs.FS, dir, address string) GPU {
	vendor, device := readLine(fsys, path.Join(dir, "vendor")), readLine(fsys, path.Join(dir, "device"))
	g := GPU{PCI: address, Vendor: pciVendor(vendor), Name: readLine(fsys, path.Join(dir, "label"))}
	if g.Name == "" {
		g.Name = "PCI " + strings.TrimPrefix(vendor, "0x") + ":" + strings.TrimPrefix(device, "0x")
	}
	eachField(fsys, path.Join("proc/driver/nvidia/gpus", address, "information"), func(key, value string) {
		if key == "Model" {
			g.Name = value
		}
	})
	if line := readLine(fsys, path.Join(dir, "mem_info_vram_total")); line != "" { // amdgpu
		if n, err := strconv.ParseInt(line, 10, 64); err == nil {
			g.Memory = &n
		}
	}
	for line := range strings.Lines(readAll(fsys, path.Join(dir, "uevent"))) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DRIVER="); ok {
			g.Driver = name
		}
	}
	if found := nvidiaVersion.FindStringSubmatch(readLine(fsys, "proc/driver/nvidia/version")); found != nil && g.Driver == "nvidia" {
		g.Driver += " " + found[1]
	}
	wsl(fsys, &g)
	return g
}

func pciVendor(id string) string {
	switch id {
	case vendorNVIDIA:
		return "NVIDIA"
	case vendorAMD:
		return "AMD"
	case vendorIntel:
		return "Intel"
	}
	return id
}

// linuxLimits reads the CPU quota and memory limit of this process's control
// group, version 2 or 1. "max" and the huge number of version 1 mean none.
func linuxLimits(fsys fs.FS) (quota *float64, limit *int64) {
	group := ""
	for line := range strings.Lines(readAll(fsys, "proc/self/cgroup")) {
		if g, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			group = g
		}
	}
	for _, dir := range []string{path.Join("sys/fs/cgroup", group), "sys/fs/cgroup"} {
		if f := strings.Fields(readLine(fsys, path.Join(dir, "cpu.max"))); quota == nil && len(f) == 2 {
			quota = ratio(f[0], f[1])
		}
		if limit == nil {
			limit = bytesLimit(readLine(fsys, path.Join(dir, "memory.max")))
		}
	}
	if quota == nil {
		quota = ratio(readLine(fsys, "sys/fs/cgroup/cpu/cpu.cfs_quota_us"), readLine(fsys, "sys/fs/cgroup/cpu/cpu.cfs_period_us"))
	}
	if limit == nil {
		limit = bytesLimit(readLine(fsys, "sys/fs/cgroup/memory/memory.limit_in_bytes"))
	}
	return quota, limit
}

func ratio(quota, period string) *float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return nil
	}
	r := q / p
	return &r
}

func bytesLimit(s string) *int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n >= 1<<60 {
		return nil
	}
	return &n
}

// eachField calls f for every "key : value" line of a file.
func eachField(fsys fs.FS, name string, f func(key, value string)) {
	s := bufio.NewScanner(bytes.NewReader([]byte(readAll(fsys, name))))
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok {
			f(strings.TrimSpace(key), strings.TrimSpace(value))
		}
	}
}

func readLine(fsys fs.FS, name string) string {
	line, _, _ := strings.Cut(readAll(fsys, name), "\n")
	return strings.TrimSpace(line)
}

// readAll returns a file's text, or "" if there is no such file: on another
// kernel or in a container any of them may be missing.
func readAll(fsys fs.FS, name string) string {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return ""
	}
	return string(data)
}
