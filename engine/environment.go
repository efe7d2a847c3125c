package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// environment says on what measurements were taken: machine and software have
// fingerprints of their own, for only equal machines can be compared.
type environment struct {
	machine, software benchdb.Environment
}

func (e *Engine) environment() environment {
	info := map[string]any{"os": runtime.GOOS, "arch": runtime.GOARCH}
	if h, err := e.host(); err == nil {
		var gpus []string
		for _, g := range h.GPUs {
			gpus = append(gpus, g.Name+" "+g.Driver)
		}
		info["cpu"], info["cores"], info["threads"] = h.CPU.Model, h.CPU.Cores, h.CPU.Threads
		info["quota"], info["simd"], info["gpus"] = h.CPU.Quota, h.CPU.SIMD, gpus
		info["memory_bytes"], info["memory_limit_bytes"] = h.Memory.Total, h.Memory.Limit
	}
	software := map[string]any{"version": e.o.Version}
	if b, ok := debug.ReadBuildInfo(); ok {
		software["go"], software["module"] = b.GoVersion, b.Main.Version
	}
	return environment{described("machine", info), described("software", software)}
}

// described is what info says, under an id of its own.
func described(kind string, info map[string]any) benchdb.Environment {
	data, err := json.Marshal(info) // keys in order, so equal ones give equal text
	if err != nil {
		data = []byte("{}")
	}
	return benchdb.Environment{ID: fingerprint(data), Timestamp: time.Now(), Info: data, Kind: kind}
}

func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
