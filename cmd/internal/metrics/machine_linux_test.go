package metrics

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func TestReadSensors(t *testing.T) {
	sys := t.TempDir()
	for name, text := range map[string]string{
		"class/thermal/thermal_zone0/temp": "45500\n", "class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
		"class/thermal/thermal_zone1/temp": "broken", "class/thermal/thermal_zone2/temp": "1000", "class/thermal/thermal_zone2/type": "x86_pkg_temp",
		"class/hwmon/hwmon0/temp1_input": "60000", "class/hwmon/hwmon0/name": "coretemp",
		"devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3", "devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4",
		"class/drm/card0/device/gpu_busy_percent": "50",
	} {
		path := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]float64{}
	out := make(chan prometheus.Metric, 20)
	readSensors(out, sys)
	close(out)
	for m := range out {
		var d dto.Metric
		if err := m.Write(&d); err != nil {
			t.Fatal(err)
		}
		name := "throttles"
		if len(d.GetLabel()) > 0 {
			name = d.GetLabel()[0].GetValue()
		}
		got[name] = d.GetGauge().GetValue() + d.GetCounter().GetValue()
	}
	want := map[string]float64{"x86_pkg_temp": 45.5, "x86_pkg_temp#2": 1, "coretemp_temp1": 60, "throttles": 7, "card0": 0.5}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, not %v", name, got[name], value)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	none := make(chan prometheus.Metric)
	readSensors(none, t.TempDir()) // nothing is told where nothing is known
}
