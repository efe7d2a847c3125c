package hardware

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// CPUVendor asks the processor who made it, such as "Intel" or "AMD"; empty
// where processors don't tell.
func CPUVendor() string { return cpuVendor(cpuid.CPU.VendorString) }

// CPUName asks the processor what it is called. Where processors don't tell,
// it is the name of the architecture.
func CPUName() string {
	if cpuid.CPU.BrandName != "" {
		return cpuid.CPU.BrandName
	}
	return runtime.GOARCH
}

// CPUHasBF16 asks the processor whether it multiplies in bfloat16.
func CPUHasBF16() bool {
	return cpuid.CPU.Supports(cpuid.AVX512BF16) || cpuid.CPU.Supports(cpuid.AMXBF16)
}
