package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
)

// environment says on what measurements were taken: machine and software have
// fingerprints of their own, for only equal machines can be compared.
type environment struct {
	machine benchdb.Environment
	program map[string]any // what is known of the software before a device is
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
		info["kernel"], info["governor"] = h.Kernel, h.CPU.Governor
	}
	program := map[string]any{"version": e.o.Version, "settings": e.o.Settings, "program_sha256": programHash()}
	if b, ok := debug.ReadBuildInfo(); ok {
		program["go"] = b.GoVersion
	}
	return environment{described("machine", info), program}
}

// software describes the program together with the runtime that drives a
// device, as [hardware.Device.Driver] names it; "" where none takes part.
func (e *Engine) software(driver string) benchdb.Environment {
	if known, ok := e.programs.Load(driver); ok {
		return known.(benchdb.Environment)
	}
	info := maps.Clone(e.env().program)
	info["runtime"] = driver
	v := described("software", info)
	e.programs.Store(driver, v)
	return v
}

// programHash is that of the running program, "" where it can't be read.
func programHash() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// untold returns those of the environments that this process has not recorded
// yet.
func (e *Engine) untold(all ...benchdb.Environment) []benchdb.Environment {
	var out []benchdb.Environment
	for _, v := range all {
		if _, told := e.told.LoadOrStore(v.ID, true); !told {
			out = append(out, v)
		}
	}
	return out
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
