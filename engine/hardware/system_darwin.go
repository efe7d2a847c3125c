package hardware

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"time"
)

// What macOS is asked, and what the answers are called in records.
var commands = map[string][]string{
	"sysctl":  {"/usr/sbin/sysctl", "hw", "machdep.cpu", "kern.osrelease"},
	"vm_stat": {"/usr/bin/vm_stat"},
	"ioreg":   {"/usr/sbin/ioreg", "-r", "-c", "IOAccelerator", "-d", "1", "-w", "0"},
}

// patience is how long one command may take: some ask drivers.
const patience = 3 * time.Second

func probeSystem(h *Host) error {
	readDarwin(func(name string) string {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		command := commands[name]
		out, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
		if err != nil && len(out) == 0 {
			return ""
		}
		return string(out)
	}, h)
	if h.Memory.Total == 0 {
		return errors.New("sysctl tells no hw.memsize")
	}
	h.CPU.Threads = runtime.NumCPU()
	if h.CPU.Cores == 0 {
		h.CPU.Cores = h.CPU.Threads
	}
	return nil
}
