package hardware

import (
	"bufio"
	"context"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"
)

// An EnergyMeter says how much energy goes by while something runs: what the
// processors' own counters (RAPL) say, and for NVIDIA's GPUs the power that
// nvidia-smi reports, over time.
type EnergyMeter struct {
	before counters
	gpu    *powerMeter // nil if none is read
}

// MeterEnergy begins to measure. The GPUs' power is only read if kind is CUDA.
// Stop must be called.
func MeterEnergy(ctx context.Context, kind Kind) *EnergyMeter {
	m := &EnergyMeter{before: readCounters(os.DirFS("/"))}
	if kind == CUDA {
		m.gpu = startPowerMeter(ctx)
	}
	return m
}

// Stop returns the joules since MeterEnergy, nil if what took part can't be
// read: on most systems only root may read the processors' counters.
func (m *EnergyMeter) Stop() *float64 {
	joules := readCounters(os.DirFS("/")).since(m.before)
	if m.gpu == nil {
		return joules
	}
	gpu := m.gpu.stop()
	if gpu == nil || joules == nil {
		return gpu
	}
	sum := *gpu + *joules
	return &sum
}

// counters are the energy counters of the processors, by package.
type counters map[string]counter

type counter struct{ microjoules, span float64 }

func readCounters(root fs.FS) counters {
	const zones = "sys/class/powercap"
	e := counters{}
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
	n, err := strconv.ParseFloat(readLine(root, name), 64)
	return n, err == nil
}

// since returns the joules that went by, nil if there are no counters. A
// counter that started again in between did so once.
func (e counters) since(before counters) *float64 {
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

// powerPeriod is how often nvidia-smi tells the power, in milliseconds.
const powerPeriod = "100"

// A powerMeter adds up the power that nvidia-smi tells, of all GPUs.
type powerMeter struct {
	cmd   *exec.Cmd
	done  chan struct{}
	start time.Time
	watts float64 // sum of the lines
	lines int
	gpus  map[string]bool
}

func startPowerMeter(ctx context.Context) *powerMeter {
	cmd := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu=index,power.draw", "--format=csv,noheader,nounits", "-lms", powerPeriod)
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return nil
	}
	m := &powerMeter{cmd: cmd, done: make(chan struct{}), start: time.Now(), gpus: map[string]bool{}}
	go func() {
		defer close(m.done)
		m.read(out)
	}()
	return m
}

func (m *powerMeter) read(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		gpu, watts, _ := strings.Cut(lines.Text(), ",")
		if w, err := strconv.ParseFloat(strings.TrimSpace(watts), 64); err == nil {
			m.watts += w
			m.lines++
			m.gpus[gpu] = true
		}
	}
}

// stop returns mean power times time, nil if no power was told.
func (m *powerMeter) stop() *float64 {
	took := time.Since(m.start).Seconds()
	m.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-m.done
	m.cmd.Wait() //nolint:errcheck // it was killed
	if m.lines == 0 {
		return nil
	}
	joules := m.watts / float64(m.lines) * float64(len(m.gpus)) * took
	return &joules
}
