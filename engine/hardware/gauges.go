package hardware

import (
	"io/fs"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
)

// LoadAverage returns how many processes wanted a processor over the last
// minute, per processor of the machine; nil where the system does not say.
func LoadAverage() *float64 { return loadAverage(os.DirFS("/"), runtime.NumCPU()) }

func loadAverage(root fs.FS, cpus int) *float64 {
	data, err := fs.ReadFile(root, "proc/loadavg")
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(data), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil
	}
	load /= float64(cpus)
	return &load
}

// An Energy is a reading of the processors' own energy counters (RAPL), by
// package. It is empty where they can't be read: on most systems only by root.
type Energy map[string]counter

type counter struct{ microjoules, span float64 }

// ReadEnergy reads the counters.
func ReadEnergy() Energy { return readEnergy(os.DirFS("/")) }

func readEnergy(root fs.FS) Energy {
	const zones = "sys/class/powercap"
	e := Energy{}
	entries, err := fs.ReadDir(root, zones)
	if err != nil {
		return e
	}
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, "intel-rapl:") || strings.Count(name, ":") != 1 { // a package; its parts are counted in it
			continue
		}
		now, ok := readNumber(root, path.Join(zones, name, "energy_uj"))
		span, ok2 := readNumber(root, path.Join(zones, name, "max_energy_range_uj"))
		if ok && ok2 {
			e[name] = counter{now, span}
		}
	}
	return e
}

func readNumber(root fs.FS, name string) (float64, bool) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(string(data)), 64)
	return n, err == nil
}

// Since returns the joules that went by since an earlier reading, nil if there
// are no counters. A counter that started again in between did so once.
func (e Energy) Since(before Energy) *float64 {
	if len(e) == 0 || len(before) != len(e) {
		return nil
	}
	joules := 0.0
	for name, now := range e {
		was, ok := before[name]
		if !ok {
			return nil
		}
		used := now.microjoules - was.microjoules
		if used < 0 {
			used += now.span
		}
		joules += used / 1e6
	}
	return &joules
}
