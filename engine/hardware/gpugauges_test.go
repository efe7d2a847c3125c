package hardware

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

func TestParseGPUs(t *testing.T) {
	got := parseGPUs([]byte("0, 37, 61, 1024, 123.45, 0x0000000000000020\n1, [N/A], 30, 0, [N/A], 0x0000000000000001\nError: no devices\n"))
	if len(got) != 2 || got[0].Card != "nvidia:0" || *got[0].Busy != 0.37 || *got[0].Celsius != 61 || *got[0].MemoryUsed != 1<<30 || *got[0].Watts != 123.45 || !*got[0].Throttled {
		t.Errorf("%+v", got)
	}
	if idle := got[1]; idle.Busy != nil || idle.Watts != nil || *idle.Throttled {
		t.Errorf("%+v", idle)
	}
}

// On a machine with NVIDIA GPUs, what nvidia-smi tells is understood.
func TestReadGPUs(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := exec.CommandContext(ctx, "nvidia-smi", "-L").Run(); err != nil {
		t.Skip("needs a GPU: nvidia-smi does not run")
	}
	got := ReadGPUs(ctx)
	if len(got) == 0 || got[0].Celsius == nil || *got[0].Celsius < 5 || *got[0].Celsius > 120 || got[0].MemoryUsed == nil || got[0].Throttled == nil {
		t.Errorf("%+v", got)
	}
}
