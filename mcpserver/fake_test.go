package mcpserver_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is an engine in memory. It runs models by their names: "hold" until
// the test lets it go, "panic" panics, "progress" tells three steps, and any
// other echoes its inputs.
type fake struct {
	started chan string   // a held run says so
	release chan struct{} // lets held runs go
	ended   chan error    // how a held run ended
}

func newFake() *fake {
	return &fake{started: make(chan string, 100), release: make(chan struct{}), ended: make(chan error, 100)}
}

func newServer(e *fake) *mcpserver.Server {
	return mcpserver.New(e, mcpserver.Options{Version: "1.2.3"})
}

func (f *fake) Detect(context.Context, engine.DetectRequest, func(engine.Progress)) (engine.Detection, error) {
	d := engine.Detection{Best: "cpu", CheckedAt: time.Unix(1_700_000_000, 0).UTC()}
	d.Host = engine.HostInfo{OS: "linux", Arch: "amd64", Sandbox: "none", CPU: engine.CPUInfo{SIMD: []string{}}, GPUs: []engine.GPUInfo{}}
	d.Platforms = engine.Platforms{{Kind: "cpu", Present: true, Devices: []engine.DeviceInfo{}, Evidence: []string{"here"}}}
	return d, nil
}

func (f *fake) Fetch(_ context.Context, r engine.FetchRequest, _ func(engine.Progress)) (engine.Fetching, error) {
	return engine.Fetching{}, engine.Errorf(engine.ErrModelNotFound, "model %q is not here", r.Model).WithHint("models:// lists those that are")
}

func (f *fake) Infer(ctx context.Context, r engine.InferRequest, report func(engine.Progress)) (engine.Inference, error) {
	switch r.Model {
	case "hold":
		return f.hold(ctx, r)
	case "panic":
		panic("at the disco")
	case "progress":
		for i := range int64(3) {
			report(engine.Progress{Done: i, Total: 3, Unit: "items", Message: "working"})
			<-f.release
		}
	}
	var a engine.Inference
	for i, in := range r.Inputs {
		a.Outputs = append(a.Outputs, engine.Output{Item: i, Label: in})
	}
	return a, nil
}

func (f *fake) hold(ctx context.Context, r engine.InferRequest) (engine.Inference, error) {
	f.started <- fmt.Sprint(r.Inputs)
	var err error
	select {
	case <-f.release:
	case <-ctx.Done():
		err = engine.Errorf(engine.ErrCancelled, "cancelled")
	}
	f.ended <- err
	return engine.Inference{Task: "held"}, err
}

func (f *fake) Benchmark(context.Context, engine.BenchmarkRequest, func(engine.Progress)) (engine.Benchmark, error) {
	return engine.Benchmark{}, fmt.Errorf("open /home/ada/secret: no such file")
}

func (f *fake) Results(_ context.Context, r engine.ResultsRequest, _ func(engine.Progress)) (engine.Results, error) {
	return engine.Results{Report: "runs", Rows: engine.Rows{[]byte(fmt.Sprintf(`{"n":%d}`, r.Limit))}}, nil
}

func (f *fake) Models(context.Context) ([]engine.StoredModel, error) {
	return []engine.StoredModel{{Root: "bafyroot", Names: []string{"m"}, Bytes: 7, Complete: true, AddedAt: time.Unix(1_700_000_000, 0).UTC()}}, nil
}

func (f *fake) File(_, name string) ([]byte, string, error) {
	if name != "0.png" {
		return nil, "", engine.Errorf(engine.ErrRunNotFound, "no file %q is kept", name)
	}
	return []byte{0x89, 'P', 'N', 'G', 0}, "image/png", nil
}

func (f *fake) TaskDoc(task string) (string, error) { return "# " + task, nil }
