//go:build figures && linux

// The figures of `make bench`: each is a ratio or difference of what was
// measured side by side in one run. They are printed, never asserted.
package main_test

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/onnx"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

const (
	starts = 30  // of a server
	calls  = 600 // of a warm server, in turn with what it is compared with
)

// figure prints one line: ID value unit goal ok|short.
func figure(id string, value float64, unit string, goal float64) {
	verdict := "ok"
	if value > goal {
		verdict = "short"
	}
	fmt.Printf("%s %.3f %s <=%g %s\n", id, value, unit, goal, verdict)
}

func median(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return xs[len(xs)/2]
}

// timed returns how many milliseconds a call takes.
func timed(tb testing.TB, call func() error) float64 {
	start := time.Now()
	must(tb, call())
	return float64(time.Since(start)) / float64(time.Millisecond)
}

// A line is an MCP server over pipes, spoken to line by line.
type line struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	n   int
}

func openLine(tb testing.TB, env []string, program string, args ...string) *line {
	tb.Helper()
	l := &line{cmd: exec.Command(program, args...)}
	l.cmd.Env = append(os.Environ(), env...)
	l.cmd.Stderr = os.Stderr
	var err error
	l.in, err = l.cmd.StdinPipe()
	must(tb, err)
	out, err := l.cmd.StdoutPipe()
	must(tb, err)
	l.out = bufio.NewReaderSize(out, 1<<20)
	must(tb, l.cmd.Start())
	must(tb, l.ask(`"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"figures","version":"1"}}`))
	return l
}

// ask sends a request and waits for its answer.
func (l *line) ask(method string) error {
	l.n++
	if _, err := fmt.Fprintf(l.in, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":%s}\n", l.n, method); err != nil {
		return err
	}
	answer, err := l.out.ReadString('\n')
	if err == nil && (strings.Contains(answer, `"isError":true`) || strings.Contains(answer, `"error":{"code":-`)) {
		return fmt.Errorf("answered %s", answer)
	}
	return err
}

func (l *line) close(tb testing.TB) {
	must(tb, l.in.Close())
	must(tb, l.cmd.Wait())
}

func call(tool, arguments string) string {
	return `"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}`
}

// build builds a program of this module, as a release would be.
func buildBinary(tb testing.TB, cgo, pkg string) string {
	tb.Helper()
	out := filepath.Join(tb.TempDir(), "program")
	cmd := exec.Command("go", "build", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	if text, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	return out
}

func TestFigures(t *testing.T) {
	server, bare := buildBinary(t, "0", "../ipfs-accelerate"), buildBinary(t, "0", "./testdata/bare")
	native := buildBinary(t, "1", ".")
	env := []string{"IPFS_ACCELERATE_HOME=" + t.TempDir(), "IPFS_ACCELERATE_NATIVE=" + native, "ORT_LIB=" + enginetest.Runtime(t)}
	p1(t, env, server, bare)
	p7(t, env, server, bare)
	p8(t, server, native)
}

// p1 is what a warm run of BlazeFace costs through the whole program, over
// what it costs to call ONNX Runtime and a bare server, each directly: on the
// device that the program picks where OpenVINO is installed, and on the one that
// ONNX Runtime has by itself.
func p1(t *testing.T, env []string, server, bare string) {
	folder := t.TempDir()
	npy := filepath.Join(folder, "x.npy")
	f, err := os.Create(npy)
	must(t, err)
	must(t, engine.WriteNPY(f, engine.NewTensor([]int64{1, side, side, 3}, make([]float32, pixels))))
	must(t, f.Close())
	for _, args := range [][]string{{"models", "add", blazeFaceFolder, "--name", "blazeface", "--copy", "--json"}, {"runtime", "install", "openvino"}} {
		cmd := exec.Command(server, args...)
		cmd.Env = append(os.Environ(), env...)
		must(t, cmd.Run())
	}

	ours, theirs := openLine(t, env, server, "serve", "--allow-path", folder), openLine(t, nil, bare)
	direct := directBlazeFace(t, 1)
	infer := call("run_inference", `{"model":"blazeface","tensors":[{"name":"input","file":`+strconv.Quote(npy)+`}]}`)
	infer = strings.Replace(infer, `"name":"input"`, `"name":`+strconv.Quote(blazeInput(t)), 1)
	echo := call("echo", `{"text":"hello"}`)
	for _, f := range []struct {
		id, device string
		goal       float64
	}{{"P1", "auto", 1.2}, {"P1c", "cpu", 1.35}} {
		chosen := strings.Replace(infer, `"model":`, `"device":"`+f.device+`","model":`, 1)
		parts := [3]func() error{func() error { return ours.ask(chosen) }, direct, func() error { return theirs.ask(echo) }}
		ms := inTurn(t, calls, parts)
		fmt.Printf("# %s medians in ms: whole, on device %s, %.3f, onnxruntime_go on the cpu %.3f, bare call %.3f\n", f.id, f.device, ms[0], ms[1], ms[2])
		figure(f.id, ms[0]/(ms[1]+ms[2]), "ratio", f.goal)
	}
	ours.close(t)
	theirs.close(t)
}

// inTurn calls each of the functions n times, one after the other, and returns
// their medians in milliseconds. It warms up first.
func inTurn(tb testing.TB, n int, fns [3]func() error) (ms [3]float64) {
	tb.Helper()
	var all [3][]float64
	for i := range n + n/10 {
		for j, fn := range fns {
			if took := timed(tb, fn); i >= n/10 {
				all[j] = append(all[j], took)
			}
		}
	}
	for j := range all {
		ms[j] = median(all[j])
	}
	return ms
}

func blazeInput(tb testing.TB) string {
	tb.Helper()
	m := engine.Model{Dir: blazeFaceFolder}
	g, err := m.Graph("face_detection_front_128x128.onnx")
	must(tb, err)
	return g.Inputs[0].Name
}

// directBlazeFace is BlazeFace on the binding alone, outputs made before, with
// the settings that a runner has: what differs is the way, not the work.
func directBlazeFace(t *testing.T, threads int) func() error {
	m := engine.Model{Dir: blazeFaceFolder}
	g, err := m.Graph("face_detection_front_128x128.onnx")
	must(t, err)
	_, err = onnx.Load(enginetest.Runtime(t), packs.Provider{})
	must(t, err)
	in, err := ort.NewTensor(ort.NewShape(g.Inputs[0].Shape...), make([]float32, pixels))
	must(t, err)
	var names []string
	var outs []ort.Value
	for _, v := range g.Outputs {
		out, err := ort.NewEmptyTensor[float32](ort.NewShape(v.Shape...))
		must(t, err)
		names, outs = append(names, v.Name), append(outs, out)
	}
	options, err := ort.NewSessionOptions()
	must(t, err)
	must(t, options.SetIntraOpNumThreads(threads))
	must(t, options.AddSessionConfigEntry("session.force_spinning_stop", "1"))
	s, err := ort.NewAdvancedSession(filepath.Join(blazeFaceFolder, "face_detection_front_128x128.onnx"), []string{g.Inputs[0].Name}, names, []ort.Value{in}, outs, options)
	must(t, err)
	t.Cleanup(func() { must(t, s.Destroy()) })
	return func() error {
		defer runtime.KeepAlive(in) // the binding's tensors are Go memory that only C points to
		defer runtime.KeepAlive(outs)
		return s.Run()
	}
}

// p7 is what the server takes while it waits, and how much later than a bare
// one it answers initialize.
func p7(t *testing.T, env []string, server, bare string) {
	var ours, theirs, resident []float64
	for range starts {
		start := time.Now()
		l := openLine(t, env, server, "serve")
		ours = append(ours, float64(time.Since(start))/float64(time.Millisecond))
		resident = append(resident, residentMB(t, l.cmd.Process.Pid))
		l.close(t)
		start = time.Now()
		l = openLine(t, nil, bare)
		theirs = append(theirs, float64(time.Since(start))/float64(time.Millisecond))
		l.close(t)
	}
	fmt.Printf("# P7 medians: resident %.1f MB; ms from exec to answered initialize: ours %.2f, bare %.2f\n", median(resident), median(ours), median(theirs))
	figure("P7", median(resident), "MB", 40)
	figure("P7s", math.Max(median(ours)-median(theirs), 0), "ms", 20)
}

// residentMB reads a process's resident memory.
func residentMB(tb testing.TB, pid int) float64 {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(tb, err)
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	must(tb, err)
	return cmp.Or(kib/1024, math.NaN())
}
