package engine

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// What is planned for each recorded machine before anything was measured there:
// which platforms are tried for a model, in order, as far as their packs are
// installed, and how many threads a large one gets on the processor.
func TestPlan_recordedMachines(t *testing.T) {
	want := map[string]struct {
		order   string
		threads int
	}{
		"amd-apu-rocm":     {"openvino rocm webgpu cpu", 8},
		"apple-m2":         {"mps webgpu cpu", 8},
		"bare-vm":          {"openvino cpu", 2},
		"container":        {"openvino cpu", 1},
		"h100":             {"cuda openvino webgpu cpu", 16},
		"laptop-intel-npu": {"openvino webgpu cpu", 16},
		"raspberry-pi-5":   {"cpu", 4},
		"two-gpus":         {"cuda openvino webgpu cpu", 16},
		"windows-rtx":      {"cuda openvino webgpu directml cpu", 4},
		"wsl2":             {"cuda openvino webgpu cpu", 10},
	}
	records, err := filepath.Glob("hardware/testdata/machines/*.json")
	if err != nil || len(records) != len(want) {
		t.Fatalf("%d records, %v; want %d", len(records), err, len(want))
	}
	for _, record := range records {
		name := strings.TrimSuffix(filepath.Base(record), ".json")
		order, n := planned(t, record)
		if w := want[name]; order != w.order || n != w.threads {
			t.Errorf("%s: %q with %d threads; want %q with %d", name, order, n, w.order, w.threads)
		}
	}
}

// planned reads what was found of a machine.
func planned(t *testing.T, record string) (order string, n int) {
	t.Helper()
	data, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		CPU       hardware.CPUInfo
		Platforms map[hardware.Kind][]string
	}
	if err := json.Unmarshal(data, &found); err != nil {
		t.Fatal(err)
	}
	var present []hardware.Kind
	for kind, evidence := range found.Platforms {
		if evidence[0] == "present" {
			present = append(present, kind)
		}
	}
	slices.SortFunc(present, func(a, b hardware.Kind) int { return cmp.Compare(priority[b], priority[a]) })
	words := make([]string, len(present))
	for i, kind := range present {
		words[i] = string(kind)
	}
	return strings.Join(words, " "), threads(hardware.Host{CPU: found.CPU})
}
