package command

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// What the configuration says by default is what the server does by default.
func TestLimits_defaults(t *testing.T) {
	if diff := cmp.Diff(mcpserver.DefaultLimits(), limits(config.Defaults().Server.Limits)); diff != "" {
		t.Error(diff)
	}
}

func TestPreferences_everyPlatform(t *testing.T) {
	if p := preferences(config.Defaults().Hardware); len(p.Prefer)+len(p.Deny) > 0 {
		t.Errorf("by default: %+v", p)
	}
	all := config.Hardware{
		PreferCUDA: true, PreferROCm: true, PreferMPS: true, PreferOpenVINO: true, PreferQualcomm: true,
		PreferWebNN: true, PreferWebGPU: true, PreferDirectML: true, PreferCPU: true,
	}
	p := preferences(all)
	want := []hardware.Kind{
		hardware.CUDA, hardware.ROCm, hardware.MPS, hardware.OpenVINO, hardware.Qualcomm,
		hardware.WebNN, hardware.WebGPU, hardware.DirectML, hardware.CPU,
	}
	if cmp.Diff(want, p.Prefer) != "" || cmp.Diff(want, p.Deny) != "" {
		t.Errorf("%+v", p)
	}
}

func TestDiffer(t *testing.T) {
	load := func(environ ...string) []config.Setting {
		l, err := config.Load(config.Options{Environ: environ})
		if err != nil {
			t.Fatal(err)
		}
		return l.Settings()
	}
	changed, restart := differ(load(), load("IPFS_ACCELERATE_LOGGING_LEVEL=debug", "IPFS_ACCELERATE_SERVER_LISTEN=127.0.0.1:1"))
	if cmp.Diff([]string{"logging.level"}, changed) != "" || cmp.Diff([]string{"server.listen"}, restart) != "" {
		t.Errorf("%v, %v", changed, restart)
	}
}
