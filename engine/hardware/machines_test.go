package hardware

import (
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is found of the recorded machines")

// A summary is what is found of a machine, as it lies beside its record.
type summary struct {
	CPU       CPUInfo           `json:"cpu"`
	Memory    Memory            `json:"memory"`
	GPUs      []GPU             `json:"gpus"`
	Platforms map[Kind][]string `json:"platforms"` // "present" and the evidence, or the reason and the fix
}

// Each recorded machine gives the devices, and the reasons, that lie beside
// it; the first lines of a record say where it is from.
func TestMachines(t *testing.T) {
	records, err := filepath.Glob("testdata/machines/*.txtar")
	if err != nil || len(records) < 10 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	for _, record := range records {
		t.Run(strings.TrimSuffix(filepath.Base(record), ".txtar"), func(t *testing.T) {
			got := found(t, record)
			golden := strings.TrimSuffix(record, ".txtar") + ".json"
			if *update {
				data, err := json.MarshalIndent(got, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, append(data, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			data, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			var want summary
			if err := json.Unmarshal(data, &want); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func found(t *testing.T, record string) summary {
	t.Helper()
	archive, err := txtar.ParseFile(record)
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := txtar.FS(archive)
	if err != nil {
		t.Fatal(err)
	}
	h := Host{OS: "linux", Arch: "amd64"}
	has := func(name string) bool { _, err := fs.Stat(fsys, name); return err == nil }
	switch {
	case has("sysctl"):
		h.OS, h.Arch = "darwin", "arm64"
		readDarwin(func(name string) string { return readAll(fsys, name) }, &h)
	case has("registry"):
		h.OS = "windows"
		readWindows(exported(readAll(fsys, "registry")), &h)
	default:
		readLinux(fsys, &h)
	}
	s := summary{CPU: h.CPU, Memory: h.Memory, GPUs: h.GPUs, Platforms: map[Kind][]string{}}
	for _, kind := range Order {
		p := platform(kind, &h)
		s.Platforms[kind] = []string{p.Reason, p.Fix}
		if p.Present {
			s.Platforms[kind] = append([]string{"present"}, p.Evidence...)
		}
	}
	return s
}

var registryValue = regexp.MustCompile(`^"([^"]+)"=(?:"(.*)"|dword:([0-9a-f]+)|qword:([0-9a-f]+))$`)

// exported reads keys in the form of regedit's exports, qwords written like
// dwords.
func exported(text string) func(path string) []registryKey {
	byPath := map[string]registryKey{}
	var order []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			order = append(order, strings.Trim(line, "[]"))
			byPath[order[len(order)-1]] = registryKey{}
			continue
		}
		if m := registryValue.FindStringSubmatch(line); m != nil {
			value := strings.ReplaceAll(m[2], `\\`, `\`)
			if hex := m[3] + m[4]; hex != "" {
				n, _ := strconv.ParseUint(hex, 16, 64)
				value = strconv.FormatUint(n, 10)
			}
			byPath[order[len(order)-1]][strings.ToLower(m[1])] = value
		}
	}
	return func(path string) []registryKey {
		if k := byPath[path]; k != nil {
			return []registryKey{k}
		}
		var out []registryKey
		for _, name := range order {
			if strings.HasPrefix(name, path+`\`) {
				out = append(out, byPath[name])
			}
		}
		return out
	}
}
