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
	record   benchdb.Environment
	software string // fingerprint of the program
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
	data, err := json.Marshal(info) // keys in order, so equal machines give equal text
	if err != nil {
		data = []byte("{}")
	}
	software := e.o.Version
	if b, ok := debug.ReadBuildInfo(); ok {
		software += " " + b.GoVersion + " " + b.Main.Version
	}
	return environment{
		record:   benchdb.Environment{ID: fingerprint(data), Timestamp: time.Now(), Info: data},
		software: fingerprint([]byte(software)),
	}
}

func fingerprint(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
