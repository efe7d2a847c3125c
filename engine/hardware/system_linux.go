package hardware

import (
	"errors"
	"os"
	"runtime"
)

func probeSystem(h *Host) error {
	readLinux(os.DirFS("/"), h)
	h.CPU.Threads = runtime.NumCPU()
	if h.Memory.Total == 0 {
		return errors.New("read /proc/meminfo: no MemTotal")
	}
	return nil
}
