package hardware

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/fstest"
	"time"
)

func TestLoadAverage(t *testing.T) {
	root := fstest.MapFS{"proc/loadavg": {Data: []byte("3.00 1.52 1.02 1/189 4242\n")}}
	if got := loadAverage(root, 4); got == nil || *got != 0.75 {
		t.Errorf("got %v; want 0.75", got)
	}
	if got := loadAverage(fstest.MapFS{}, 4); got != nil {
		t.Errorf("got %v of a system that does not say", *got)
	}
}

func rapl(first, second string) fstest.MapFS {
	const zones = "sys/class/powercap/"
	return fstest.MapFS{
		zones + "intel-rapl:0/energy_uj":             {Data: []byte(first + "\n")},
		zones + "intel-rapl:0/max_energy_range_uj":   {Data: []byte("10000000\n")},
		zones + "intel-rapl:1/energy_uj":             {Data: []byte(second + "\n")},
		zones + "intel-rapl:1/max_energy_range_uj":   {Data: []byte("10000000\n")},
		zones + "intel-rapl:0:0/energy_uj":           {Data: []byte("5\n")},
		zones + "intel-rapl:0:0/max_energy_range_uj": {Data: []byte("10\n")},
	}
}

func TestCounters(t *testing.T) {
	before := readCounters(rapl("1000000", "9000000"))
	after := readCounters(rapl("3500000", "500000")) // the second started again
	if got := after.since(before); got == nil || *got != 4 {
		t.Errorf("got %v; want 4 J", got)
	}
	if got := readCounters(fstest.MapFS{}).since(before); got != nil {
		t.Errorf("got %v without counters", *got)
	}
}

// A GPU's energy is its mean power times the time. Where nvidia-smi is not,
// or tells no power, nothing is claimed.
func TestMeterEnergy_nvidia(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for nvidia-smi is a shell script")
	}
	bin := t.TempDir()
	tell := func(lines string) {
		script := "#!/bin/sh\nprintf '" + lines + "'\nexec cat\n"
		if err := os.WriteFile(filepath.Join(bin, "nvidia-smi"), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	tell("0, 100.0\\n1, 50.0\\n0, 300.0\\n1, 150.0\\n")
	m := startPowerMeter(t.Context())
	if m == nil {
		t.Fatal("no meter")
	}
	<-m.done // the script's input is at its end, so it ends by itself
	m.start = time.Now().Add(-2 * time.Second)
	if got := m.stop(); got == nil || *got < 600 || *got > 700 {
		t.Errorf("got %v; want 300 W for 2 s", got)
	}
	tell("0, [N/A]\\n")
	m = startPowerMeter(t.Context())
	<-m.done
	if got := m.stop(); got != nil {
		t.Errorf("got %v of a GPU that tells no power", *got)
	}
	t.Setenv("PATH", t.TempDir())
	if m := startPowerMeter(t.Context()); m != nil {
		t.Error("a meter without nvidia-smi")
	}
}
