//go:build !linux

package hardware

import (
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// portableCPU asks the processor itself, where the system keeps no text about
// it that can be read.
func portableCPU() CPUInfo {
	c := cpuid.CPU
	var flags []string
	for _, f := range c.FeatureSet() {
		flags = append(flags, strings.ToLower(f))
	}
	info := CPUInfo{Vendor: cpuVendor(c.VendorString), Model: c.BrandName, Cores: c.PhysicalCores, SIMD: simd(flags)}
	if info.Cores == 0 {
		info.Cores = runtime.NumCPU()
	}
	return info
}
