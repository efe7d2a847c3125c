package hardware

import (
	"regexp"
	"strconv"
	"strings"
)

// The keys of the registry that are read, below HKEY_LOCAL_MACHINE. Of each
// the numbered ones below it count: processors, display adapters and, since
// Windows 11, neural processors.
const (
	processorsKey   = `HARDWARE\DESCRIPTION\System\CentralProcessor`
	displayKey      = `SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}`
	acceleratorsKey = `SYSTEM\CurrentControlSet\Control\Class\{f01a9d53-3ff6-48d2-9f97-c8a7004be10c}`
	systemKey       = `SOFTWARE\Microsoft\Windows NT\CurrentVersion`
)

// A registryKey is the values of one key, by name in lower case. Numbers are
// decimal.
type registryKey map[string]string

// readWindows fills h in from the registry: keys gives those below one in
// order, or the key itself if nothing is below it.
func readWindows(keys func(path string) []registryKey, h *Host) {
	for _, k := range keys(systemKey) {
		h.Kernel = strings.Trim(k["currentbuildnumber"]+"."+k["ubr"], ".")
	}
	processors := keys(processorsKey)
	for _, k := range processors[:min(1, len(processors))] {
		h.CPU.Model, h.CPU.Vendor = strings.TrimSpace(k["processornamestring"]), windowsVendor(k["vendoridentifier"])
	}
	h.CPU.Threads = len(processors)
	if h.CPU.Cores == 0 { // the registry tells threads alone
		h.CPU.Cores = h.CPU.Threads
	}
	for _, path := range []string{displayKey, acceleratorsKey} {
		for _, k := range keys(path) {
			if g, ok := windowsGPU(k); ok {
				g.Neural = path == acceleratorsKey
				h.GPUs = append(h.GPUs, g)
			}
		}
	}
}

func windowsVendor(id string) string {
	if strings.HasPrefix(id, "Qualcomm") {
		return "Qualcomm"
	}
	return cpuVendor(id)
}

var pciID = regexp.MustCompile(`(?i)^pci\\ven_([0-9a-f]{4})`)

// windowsGPU is an adapter, unless it is none of hardware, such as that of a
// remote session.
func windowsGPU(k registryKey) (GPU, bool) {
	id := k["matchingdeviceid"]
	g := GPU{Name: k["driverdesc"], Driver: strings.TrimSpace(k["providername"] + " " + k["driverversion"])}
	switch m := pciID.FindStringSubmatch(id); {
	case m != nil:
		g.Vendor = pciVendor("0x" + strings.ToLower(m[1]))
	case strings.HasPrefix(strings.ToUpper(id), `ACPI\QCOM`), strings.HasPrefix(strings.ToUpper(id), `ACPI\VEN_QCOM`):
		g.Vendor = "Qualcomm"
	default:
		return GPU{}, false
	}
	if n, err := strconv.ParseInt(k["hardwareinformation.qwmemorysize"], 10, 64); err == nil && n > 0 {
		g.Memory = &n
	}
	return g, g.Name != ""
}
