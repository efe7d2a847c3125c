package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// sentences are embedded and compared: two say the same, two are about music.
var sentences = []string{
	"The quick brown fox jumps over the lazy dog.",
	"A fast auburn fox leaps above a sleepy hound.",
	"She plays the violin in an orchestra.",
	"He practises the cello every evening.",
	"The central bank raised interest rates again.",
}

// photograph is a portrait of Grace Hopper, US Navy, in the public domain.
const photograph = "examples/pictures/grace_hopper.jpg"

// agent is an MCP client that talks to a server of its own over stdio, with
// the official Go SDK.
type agent struct{ session *mcp.ClientSession }

// connect starts a server with an empty store, whose only source is the
// gateway, and connects to it.
func (d *demo) connect(ctx context.Context, home string) (*agent, error) {
	cmd := exec.Command(d.binary, "serve", "--source", "friend="+d.gateway) //nolint:noctx // it ends when its input does
	cmd.Env = append(os.Environ(), "IPFS_ACCELERATE_HOME="+home, "ORT_LIB="+d.library)
	cmd.Stderr = os.Stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "demo-agent", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		return nil, err
	}
	say("\n2. An agent connects over stdio to a server whose store is empty")
	return &agent{session}, nil
}

func (a *agent) close() error { return a.session.Close() }

// call calls a tool and reads its structured content.
func (a *agent) call(ctx context.Context, tool string, arguments map[string]any, v any) error {
	res, err := a.session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	data, err := json.Marshal(res.StructuredContent)
	if err != nil {
		return err
	}
	if res.IsError {
		return fmt.Errorf("%s: %s", tool, data)
	}
	return json.Unmarshal(data, v)
}

// work is what the agent does.
func (a *agent) work(ctx context.Context, d *demo) error {
	steps := []func() error{
		func() error { return a.detect(ctx) },
		func() error { return a.fetch(ctx, "minilm", d.minilm) },
		func() error { return a.fetch(ctx, "blazeface", d.blazeface) },
		func() error { return a.embed(ctx) },
		func() error { return a.findFace(ctx, filepath.Join(d.dir, "face.png")) },
		func() error { return a.benchmark(ctx) },
		func() error { return a.query(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (a *agent) detect(ctx context.Context) error {
	var d struct {
		Best string
		Host struct {
			CPU     struct{ Model string }
			Sandbox string
		}
		Platforms map[string]struct {
			Available bool
			Reason    string
			Verified  *struct {
				Diff float64 `json:"max_abs_diff"`
			}
		}
	}
	if err := a.call(ctx, "detect_hardware", nil, &d); err != nil {
		return err
	}
	say("\n3. detect_hardware: %s; models run in a process that is confined by %s", d.Host.CPU.Model, d.Host.Sandbox)
	if cpu := d.Platforms["cpu"]; cpu.Verified != nil {
		say("   cpu works: a canary model ran on it and was %.1e off", cpu.Verified.Diff)
	}
	var absent []string
	for _, p := range []string{"cuda", "rocm", "mps", "openvino", "qualcomm", "webnn", "webgpu", "directml"} {
		if !d.Platforms[p].Available {
			absent = append(absent, p+" ("+d.Platforms[p].Reason+")")
		}
	}
	say("   not here: %s", strings.Join(absent, ", "))
	return nil
}

func (a *agent) fetch(ctx context.Context, name, cid string) error {
	var f struct {
		Bytes   int64
		Level   string
		Sources []struct {
			Name   string
			Blocks int64
		}
		Timings struct{ Total float64 } `json:"timings_ms"`
	}
	if err := a.call(ctx, "fetch_model_cid", map[string]any{"model": cid, "name": name}, &f); err != nil {
		return err
	}
	say("\n4. fetch_model_cid %s", cid)
	for _, s := range f.Sources {
		say("   %s: %.1f MB in %d blocks from source %q, every block hashed before it was believed, in %.0f ms",
			name, float64(f.Bytes)/1e6, s.Blocks, s.Name, f.Timings.Total)
	}
	return nil
}

func (a *agent) embed(ctx context.Context) error {
	var r struct {
		Similarity [][]float64
		Outputs    []struct{ Dim int }
		Device     struct{ ID, Precision string }
		Timings    struct{ Load, Run float64 } `json:"timings_ms"`
	}
	err := a.call(ctx, "run_inference", map[string]any{"model": "minilm", "inputs": sentences, "parameters": map[string]any{"similarity": true}}, &r)
	if err != nil {
		return err
	}
	say("\n5. run_inference: %d sentences become vectors of %d numbers on %s (%s), in %.1f ms after %.0f ms to load",
		len(r.Outputs), r.Outputs[0].Dim, r.Device.ID, r.Device.Precision, r.Timings.Run, r.Timings.Load)
	say("   Cosine similarity, 1 is the same meaning:")
	for i, row := range r.Similarity {
		cells := make([]string, len(row))
		for j, v := range row {
			cells[j] = fmt.Sprintf("%6.2f", v)
		}
		say("   %s  %s", strings.Join(cells, ""), sentences[i])
	}
	return nil
}

func (a *agent) findFace(ctx context.Context, to string) error {
	var r struct {
		Outputs []struct {
			Label string
			Score float64
			Box   struct{ XMin, YMin, XMax, YMax float64 }
		}
		Files   []struct{ URI string }
		Timings struct{ Run float64 } `json:"timings_ms"`
	}
	err := a.call(ctx, "run_inference", map[string]any{"model": "blazeface", "inputs": []string{photograph}, "parameters": map[string]any{"annotate": true}}, &r)
	if err != nil {
		return err
	}
	if len(r.Outputs) == 0 || len(r.Files) == 0 {
		return errors.New("no face was found in the photograph")
	}
	say("\n6. run_inference: %s (Grace Hopper, US Navy, public domain)", photograph)
	for _, o := range r.Outputs {
		say("   a %s, %.1f %% sure, from (%.0f, %.0f) to (%.0f, %.0f), in %.1f ms; the picture with the box is kept as", o.Label, 100*o.Score, o.Box.XMin, o.Box.YMin, o.Box.XMax, o.Box.YMax, r.Timings.Run)
	}
	res, err := a.session.ReadResource(ctx, &mcp.ReadResourceParams{URI: r.Files[0].URI})
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, res.Contents[0].Blob, 0o644); err != nil {
		return err
	}
	say("%s", to)
	return nil
}

func (a *agent) benchmark(ctx context.Context) error {
	for _, m := range []map[string]any{
		{"model": "minilm", "inputs": sentences[:1], "iterations": 100},
		{"model": "blazeface", "inputs": []string{photograph}, "iterations": 100},
	} {
		var b struct {
			Results []struct {
				Samples int
				Latency struct {
					P50 float64
					CI  [2]float64 `json:"p50_ci95"`
				} `json:"latency_ms"`
				Throughput float64 `json:"throughput_per_s"`
				Memory     int64   `json:"memory_bytes"`
			}
		}
		if err := a.call(ctx, "run_benchmark", m, &b); err != nil {
			return err
		}
		for _, r := range b.Results {
			say("\n7. run_benchmark %s: median %.2f ms (95 %% interval %.2f to %.2f, %d samples), %.0f items/s, peak memory %.0f MB",
				m["model"], r.Latency.P50, r.Latency.CI[0], r.Latency.CI[1], r.Samples, r.Throughput, float64(r.Memory)/1e6)
		}
	}
	return nil
}

func (a *agent) query(ctx context.Context) error {
	const sql = "select model_name, count(*) as calls, round(median(run_ms), 2) as median_run_ms from inferences group by all order by all"
	var q struct {
		Rows []struct {
			Model  string  `json:"model_name"`
			Calls  int     `json:"calls"`
			Median float64 `json:"median_run_ms"`
		}
		Sandbox string
	}
	if err := a.call(ctx, "query_results", map[string]any{"sql": sql}, &q); err != nil {
		return err
	}
	say("\n8. query_results: %s\n   (answered by DuckDB in a sandbox: %s)", sql, q.Sandbox)
	for _, r := range q.Rows {
		say("   %-10s %d calls, median %.2f ms", r.Model, r.Calls, r.Median)
	}
	return nil
}
