package hardware

import (
	"os"
	"path"
	"runtime"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

// dgx is the part of an NVIDIA server's /proc and /sys that is read; the
// texts follow the kernel's and the driver's documentation.
var dgx = fstest.MapFS{
	"proc/cpuinfo": file("processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8480C\nphysical id\t: 0\ncore id\t: 0\nflags\t: avx avx2 avx512f avx512_vnni amx_tile\n\n" +
		"processor\t: 1\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8480C\nphysical id\t: 0\ncore id\t: 0\nflags\t: avx\n\n" +
		"processor\t: 2\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8480C\nphysical id\t: 1\ncore id\t: 0\nflags\t: avx avx2 avx512f avx512_vnni amx_tile\n"),
	"proc/meminfo":                                     file("MemTotal:        2113413680 kB\nMemFree: 1 kB\nMemAvailable:   2100000000 kB\n"),
	"proc/self/cgroup":                                 file("0::/job\n"),
	"sys/fs/cgroup/job/cpu.max":                        file("150000 100000\n"),
	"sys/fs/cgroup/job/memory.max":                     file("536870912\n"),
	"sys/bus/pci/devices/0000:1b:00.0/class":           file("0x030200\n"),
	"sys/bus/pci/devices/0000:1b:00.0/vendor":          file("0x10de\n"),
	"sys/bus/pci/devices/0000:1b:00.0/device":          file("0x2330\n"),
	"sys/bus/pci/devices/0000:1b:00.0/uevent":          file("DRIVER=nvidia\nPCI_CLASS=30200\n"),
	"sys/bus/pci/devices/0000:00:1f.0/class":           file("0x060100\n"),
	"proc/driver/nvidia/gpus/0000:1b:00.0/information": file("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 1\n"),
}

func TestReadLinux_server(t *testing.T) {
	h := Host{OS: "linux", Arch: "amd64"}
	readLinux(dgx, &h)
	quota, limit := 1.5, int64(512<<20)
	want := Host{
		OS: "linux", Arch: "amd64",
		CPU: CPUInfo{
			Vendor: "Intel", Model: "Intel(R) Xeon(R) Platinum 8480C", Cores: 2, Threads: 3, Quota: &quota,
			SIMD: []string{"amx", "avx", "avx2", "avx512_vnni", "avx512f"},
		},
		Memory: Memory{Total: 2113413680 << 10, Available: 2100000000 << 10, Limit: &limit},
		GPUs:   []GPU{{Name: "NVIDIA H100 80GB HBM3", Vendor: "NVIDIA", PCI: "0000:1b:00.0", Driver: "nvidia"}},
	}
	if d := cmp.Diff(want, h); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for kind, present := range map[Kind]bool{CUDA: true, OpenVINO: true, CPU: true, ROCm: false, MPS: false, DirectML: false, Qualcomm: false, WebGPU: true, WebNN: false} {
		p := platform(kind, &h)
		if p.Present != present || len(p.Evidence) == 0 || (p.Reason == "") != present {
			t.Errorf("%s: %+v", kind, p)
		}
	}
}

func TestReadLinux_raspberryPi(t *testing.T) {
	h := Host{}
	readLinux(fstest.MapFS{
		"proc/cpuinfo": file("processor\t: 0\nFeatures\t: fp asimd evtstrm crc32\nCPU implementer\t: 0x41\n\nprocessor\t: 1\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"),
		"proc/meminfo": file("MemTotal: 8244416 kB\n"),
		"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us":         file("-1\n"),
		"sys/fs/cgroup/cpu/cpu.cfs_period_us":        file("100000\n"),
	}, &h)
	want := CPUInfo{Vendor: "ARM", Model: "Raspberry Pi 5 Model B Rev 1.0", Cores: 2, Threads: 2, SIMD: []string{"neon"}}
	if d := cmp.Diff(want, h.CPU); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if h.Memory.Limit != nil || h.Memory.Total != 8244416<<10 {
		t.Errorf("memory: %+v", h.Memory)
	}
}

func TestReadLinux_emptyAndHostile(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"nothing": {},
		"noise":   {"proc/cpuinfo": file("\x00\xff:::\n:\nprocessor"), "proc/meminfo": file("MemTotal: -x kB"), "proc/self/cgroup": file("0::/../../..\n")},
	} {
		h := Host{}
		readLinux(fsys, &h)
		if h.Memory.Total != 0 || len(h.GPUs) != 0 {
			t.Errorf("%s: %+v", name, h)
		}
	}
}

func TestProbe_thisMachine(t *testing.T) {
	h, err := Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h.CPU.Threads != runtime.NumCPU() || h.CPU.Cores < 1 || h.Memory.Total < 1<<26 || h.Memory.Available > h.Memory.Total {
		t.Errorf("implausible host: %+v", h)
	}
	if len(h.Platforms) != 9 {
		t.Errorf("%d platforms, want 9", len(h.Platforms))
	}
	if entries, err := os.ReadDir("/sys/bus/pci/devices"); err == nil {
		for _, g := range h.GPUs {
			if _, err := os.Stat(path.Join("/sys/bus/pci/devices", g.PCI)); err != nil {
				t.Errorf("GPU %s is not among the %d PCI devices", g.PCI, len(entries))
			}
		}
	}
}
