package hardware

import "github.com/klauspost/cpuid/v2"

// CPUVendor asks the processor who made it, such as "Intel" or "AMD"; empty
// where processors don't tell.
func CPUVendor() string { return cpuVendor(cpuid.CPU.VendorString) }
