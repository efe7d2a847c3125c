package hardware

import (
	"testing"
	"testing/fstest"
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

func TestEnergy(t *testing.T) {
	before := readEnergy(rapl("1000000", "9000000"))
	after := readEnergy(rapl("3500000", "500000")) // the second started again
	if got := after.Since(before); got == nil || *got != 4 {
		t.Errorf("got %v; want 4 J", got)
	}
	if got := readEnergy(fstest.MapFS{}).Since(before); got != nil {
		t.Errorf("got %v without counters", *got)
	}
}
