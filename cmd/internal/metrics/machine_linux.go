package metrics

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

// collectRunners tells what each runner takes. One that has just ended is left
// out.
func collectRunners(out chan<- prometheus.Metric, pids []int) {
	for _, pid := range pids {
		p, err := procfs.NewProc(pid)
		if err != nil {
			continue
		}
		stat, err := p.Stat()
		if err != nil {
			continue
		}
		runnerMemory.gauge(out, float64(stat.ResidentMemory()), strconv.Itoa(pid))
		runnerCPU.gauge(out, stat.CPUTime(), strconv.Itoa(pid))
	}
}

// collectSensors tells what the machine tells of itself.
func collectSensors(out chan<- prometheus.Metric) { readSensors(out, "/sys") }

// readSensors reads a tree like /sys. What is not there is left out.
func readSensors(out chan<- prometheus.Metric, sys string) {
	seen := map[string]bool{}
	tell := func(sensor string, millidegrees float64) {
		for n, name := 2, sensor; seen[sensor]; n++ {
			sensor = name + "#" + strconv.Itoa(n)
		}
		seen[sensor] = true
		temperature.gauge(out, millidegrees/1000, sensor)
	}
	for _, path := range glob(sys, "class/hwmon/hwmon*/temp*_input") {
		if t, ok := number(path); ok {
			tell(word(filepath.Join(filepath.Dir(path), "name"))+"_"+strings.TrimSuffix(filepath.Base(path), "_input"), t)
		}
	}
	for _, path := range glob(sys, "class/thermal/thermal_zone*/temp") {
		if t, ok := number(path); ok {
			tell(word(filepath.Join(filepath.Dir(path), "type")), t)
		}
	}
	sum, told := 0.0, false
	for _, path := range glob(sys, "devices/system/cpu/cpu*/thermal_throttle/core_throttle_count") {
		if n, ok := number(path); ok {
			sum, told = sum+n, true
		}
	}
	if told {
		throttles.gauge(out, sum)
	}
	for _, path := range glob(sys, "class/drm/card*/device/gpu_busy_percent") {
		if percent, ok := number(path); ok {
			gpuBusy.gauge(out, percent/100, filepath.Base(filepath.Dir(filepath.Dir(path))))
		}
	}
}

func glob(root, pattern string) []string {
	paths, _ := filepath.Glob(filepath.Join(root, pattern)) // the patterns are right
	return paths
}

func word(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(data))
}

func number(path string) (float64, bool) {
	n, err := strconv.ParseFloat(word(path), 64)
	return n, err == nil
}
