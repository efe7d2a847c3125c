package hardware

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
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
	h.CPU.Threads = runtime.NumCPU()
	return nil
}
