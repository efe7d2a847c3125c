package hardware

import (
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

func probeSystem(h *Host) error {
	total, err := unix.SysctlUint64("hw.memsize")
	if err != nil {
		return fmt.Errorf("sysctl hw.memsize: %w", err)
	}
	h.Memory.Total = int64(total)
	h.CPU = portableCPU()
	if brand, err := unix.Sysctl("machdep.cpu.brand_string"); err == nil {
		h.CPU.Model = brand
	}
	if strings.HasPrefix(h.CPU.Model, "Apple") {
		h.CPU.Vendor = "Apple"
	}
	if cores, err := unix.SysctlUint32("hw.physicalcpu"); err == nil {
		h.CPU.Cores = int(cores)
	}
	h.CPU.Threads = runtime.NumCPU()
	if release, err := unix.Sysctl("kern.osrelease"); err == nil {
		h.Kernel = release
	}
	return nil
}
