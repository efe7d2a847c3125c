package hardware

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// memoryStatusEx is MEMORYSTATUSEX of the Windows API.
type memoryStatusEx struct {
	length               uint32
	memoryLoad           uint32
	totalPhys, availPhys uint64
	totalPage, availPage uint64
	totalVirt, availVirt uint64
	availExtVirt         uint64
}

func probeSystem(h *Host) error {
	status := memoryStatusEx{}
	status.length = uint32(unsafe.Sizeof(status))
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, err := call.Call(uintptr(unsafe.Pointer(&status))); ok == 0 {
		return fmt.Errorf("call GlobalMemoryStatusEx: %w", err)
	}
	h.Memory = Memory{Total: int64(status.totalPhys), Available: int64(status.availPhys)}
	h.CPU = portableCPU()
	cpu := h.CPU
	readWindows(registryKeys, h)
	if h.CPU.Model == "" {
		h.CPU = cpu
	}
	h.CPU.Threads = runtime.NumCPU()
	return nil
}

// registryKeys reads the numbered keys below one, or that one if it has none.
func registryKeys(path string) []registryKey {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.READ)
	if err != nil {
		return nil
	}
	defer k.Close()
	names, err := k.ReadSubKeyNames(-1)
	if err != nil {
		return nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { _, err := strconv.Atoi(name); return err != nil })
	slices.SortFunc(names, func(a, b string) int { return number(a) - number(b) })
	if len(names) == 0 {
		return []registryKey{valuesOf(k)}
	}
	var out []registryKey
	for _, name := range names {
		below, err := registry.OpenKey(k, name, registry.READ)
		if err != nil {
			continue
		}
		out = append(out, valuesOf(below))
		below.Close()
	}
	return out
}

func valuesOf(k registry.Key) registryKey {
	names, err := k.ReadValueNames(-1)
	if err != nil {
		return nil
	}
	out := registryKey{}
	for _, name := range names {
		key := strings.ToLower(name)
		if s, _, err := k.GetStringValue(name); err == nil {
			out[key] = s
		} else if n, _, err := k.GetIntegerValue(name); err == nil {
			out[key] = strconv.FormatUint(n, 10)
		}
	}
	return out
}
