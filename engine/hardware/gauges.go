package hardware

import (
	"io/fs"
	"os"
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
