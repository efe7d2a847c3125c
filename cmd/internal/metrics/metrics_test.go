package metrics

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

type family = dto.MetricFamily

var update = flag.Bool("update", false, "write what is generated")

func newMetrics() *Metrics {
	at := time.Unix(1_700_000_000, 0)
	return New(Options{
		Version: "1.2.3", Stats: func() engine.Stats { return engine.Stats{Queued: 3, Running: 2, Sessions: 1, SessionBytes: 9} },
		Health: func(context.Context) engine.Health {
			return engine.Health{
				Devices: []engine.DeviceHealth{{ID: "cpu", OK: true}, {ID: "cuda:0"}},
				Sources: []engine.SourceHealth{{Name: "lab", LastSuccess: &at}, {Name: "new"}},
			}
		},
		Runners: func() []int { return []int{os.Getpid()} },
		Peers:   func(context.Context) []Peer { return []Peer{{ID: "12D3KooW", Bytes: 7, Connected: true}} },
		GPUs: func(context.Context) []hardware.GPUReading {
			busy, hot := 0.25, true
			return []hardware.GPUReading{{Card: "nvidia:0", Busy: &busy, Celsius: &busy, MemoryUsed: &busy, Watts: &busy, Throttled: &hot}, {Card: "nvidia:1"}}
		},
	})
}

// work has each metric count something.
func work(m *Metrics) {
	m.Called("run_inference", "", time.Second)
	m.Called("run_inference", engine.ErrModelNotFound, time.Millisecond)
	timings := engine.InferTimingsMS{Queue: 1, Fetch: 2, Load: 3, Preprocess: 4, Run: 5, Postprocess: 6, Total: 21}
	m.Inferred(context.Background(), engine.Inferred{Device: "cpu", Cache: "L1", Timings: timings, Compute: 4 * time.Millisecond})
	m.Inferred(context.Background(), engine.Inferred{Code: engine.ErrModelNotFound})
	m.Fetched(context.Background(), engine.FetchedFrom{Took: time.Second, Sources: []engine.SourceUse{{Name: "lab", Bytes: 100, Errors: 2}}})
}

func TestMetrics_numbers(t *testing.T) {
	m := newMetrics()
	work(m)
	text, err := m.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`ipfs_accelerate_tool_calls_total{code="ok",tool="run_inference"} 1`,
		`ipfs_accelerate_peer_bytes_total{peer="12D3KooW"} 7`, `ipfs_accelerate_peer_connected{peer="12D3KooW"} 1`,
		`ipfs_accelerate_gpu_busy_ratio{card="nvidia:0"} 0.25`, `ipfs_accelerate_gpu_throttled{card="nvidia:0"} 1`,
		`ipfs_accelerate_inference_phase_duration_seconds_sum{phase="compute"} 0.004`,
		`ipfs_accelerate_tool_calls_total{code="model_not_found",tool="run_inference"} 1`,
		`ipfs_accelerate_inference_phase_duration_seconds_sum{phase="run"} 0.005`,
		`ipfs_accelerate_inference_phase_duration_seconds_sum{phase="total"} 0.021`,
		`ipfs_accelerate_inference_phase_duration_seconds_count{phase="total"} 1`,
		`ipfs_accelerate_inferences_total{code="model_not_found",device=""} 1`,
		`ipfs_accelerate_model_cache_hits_total{level="L1"} 1`,
		`ipfs_accelerate_source_bytes_total{source="lab"} 100`,
		`ipfs_accelerate_source_errors_total{source="lab"} 2`,
		`ipfs_accelerate_queue_length 3`, `ipfs_accelerate_sessions_open 1`, `ipfs_accelerate_runners 1`,
		`ipfs_accelerate_device_ok{device="cpu"} 1`, `ipfs_accelerate_device_ok{device="cuda:0"} 0`,
		`ipfs_accelerate_source_last_success_timestamp_seconds{source="lab"} 1.7e+09`,
		`ipfs_accelerate_build_info{goversion="go`, "go_goroutines ", "go_gc_duration_seconds",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(string(text), `source="new"} `) {
		t.Error("a success that never was")
	}
}

// The names and texts keep to Prometheus' conventions.
func TestMetrics_conventions(t *testing.T) {
	m := newMetrics()
	work(m)
	families, err := m.gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	families = slices.DeleteFunc(families, func(f *family) bool { return !strings.HasPrefix(f.GetName(), prefix) })
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

// What is registered is what the page says, and nothing else.
func TestReference(t *testing.T) {
	const path = "../../../resources/docs/metrics.md"
	if *update {
		if err := os.WriteFile(path, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil || cmp.Diff(Reference(), string(page)) != "" {
		t.Errorf("%s is not up to date: run go test ./cmd/internal/metrics -run TestReference -update: %v", path, err)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		newMetrics().registry.Describe(descs)
		close(descs)
	}()
	var registered, documented []string
	for d := range descs {
		registered = append(registered, regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(d.String())[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)`").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1])
	}
	slices.Sort(registered)
	if diff := cmp.Diff(registered, documented); diff != "" {
		t.Error(diff)
	}
}

func TestServeHTTP(t *testing.T) {
	m := newMetrics()
	work(m)
	w := httptest.NewRecorder()
	m.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "ipfs_accelerate_tool_calls_total{") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}
