package metrics

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// Options say whose numbers are kept.
type Options struct {
	Version string
	Stats   func() engine.Stats                     // of the engine
	Health  func(ctx context.Context) engine.Health // of the engine
	Runners func() []int                            // process ids
	GPUs    func(ctx context.Context) []hardware.GPUReading
	Peers   func(ctx context.Context) []Peer // that are known, if peers are used
	Logger  *slog.Logger                     // nil means silence
}

// A Peer is a machine that models come from.
type Peer struct {
	ID        string
	Bytes     int64 // verified
	Connected bool
}

// Metrics are the numbers of one server. It is safe for concurrent use.
type Metrics struct {
	o        Options
	registry *prometheus.Registry
	runtime  sync.Once // registers what takes long to make

	calls       *prometheus.CounterVec
	callSeconds *prometheus.HistogramVec
	phases      *prometheus.HistogramVec
	inferences  *prometheus.CounterVec
	hits        *prometheus.CounterVec
	fetches     *prometheus.HistogramVec
	bytes       *prometheus.CounterVec
	errors      *prometheus.CounterVec
}

var _ engine.Observer = (*Metrics)(nil)

// buckets are from 100 µs, an empty run, to half an hour, a large model from
// far away.
var buckets = []float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100, 300, 1800}

// New returns metrics that count from now.
func New(o Options) *Metrics {
	m := &Metrics{o: o, registry: prometheus.NewRegistry()}
	m.calls, m.callSeconds = toolCalls.counter(), toolSeconds.histogram()
	m.phases, m.inferences, m.hits = phaseSeconds.histogram(), inferences.counter(), cacheHits.counter()
	m.fetches, m.bytes, m.errors = fetchSeconds.histogram(), sourceBytes.counter(), sourceErrors.counter()
	m.registry.MustRegister(m.calls, m.callSeconds, m.phases, m.inferences, m.hits, m.fetches, m.bytes, m.errors, &state{o})
	return m
}

// Called counts a call of a tool; code is "" if it went well.
func (m *Metrics) Called(tool string, code engine.Code, took time.Duration) {
	m.calls.WithLabelValues(tool, outcome(code)).Inc()
	m.callSeconds.WithLabelValues(tool).Observe(took.Seconds())
}

func outcome(code engine.Code) string {
	if code == "" {
		return "ok"
	}
	return string(code)
}

// Inferred counts an inference.
func (m *Metrics) Inferred(_ context.Context, i engine.Inferred) {
	m.inferences.WithLabelValues(i.Device, outcome(i.Code)).Inc()
	if i.Cache != "" {
		m.hits.WithLabelValues(i.Cache).Inc()
	}
	if i.Code != "" {
		return // its phases are not those of an answer
	}
	for _, p := range Phases(i.Timings) {
		m.phases.WithLabelValues(p.Name).Observe(p.MS / 1000)
	}
	if i.Compute > 0 {
		m.phases.WithLabelValues("compute").Observe(i.Compute.Seconds())
	}
	m.phases.WithLabelValues("total").Observe(i.Timings.Total / 1000)
}

// A Phase is a part of an inference.
type Phase struct {
	Name string
	MS   float64
}

// Phases are the parts of an inference in the order in which they happen.
func Phases(t engine.InferTimingsMS) []Phase {
	return []Phase{{"fetch", t.Fetch}, {"queue", t.Queue}, {"load", t.Load}, {"preprocess", t.Preprocess}, {"run", t.Run}, {"postprocess", t.Postprocess}}
}

// Fetched counts what sources gave.
func (m *Metrics) Fetched(_ context.Context, f engine.FetchedFrom) {
	m.fetches.WithLabelValues(outcome(f.Code)).Observe(f.Took.Seconds())
	for _, s := range f.Sources {
		m.bytes.WithLabelValues(s.Name).Add(float64(s.Bytes))
		m.errors.WithLabelValues(s.Name).Add(float64(s.Errors))
	}
}

// gatherer is the registry with what the first who asks pays for.
func (m *Metrics) gatherer() *prometheus.Registry {
	m.runtime.Do(func() {
		m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	})
	return m.registry
}

// ServeHTTP answers Prometheus.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	promhttp.HandlerFor(m.gatherer(), promhttp.HandlerOpts{MaxRequestsInFlight: 4, ErrorLog: m}).ServeHTTP(w, r)
}

// Println logs an error of the handler.
func (m *Metrics) Println(v ...any) {
	if m.o.Logger != nil {
		m.o.Logger.Warn("metrics can't be gathered", "error", v)
	}
}

// Text is what Prometheus would get.
func (m *Metrics) Text() ([]byte, error) {
	families, err := m.gatherer().Gather()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// state are the numbers that are looked at when somebody asks.
type state struct{ o Options }

// Describe names them.
func (s *state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range looked {
		out <- d.desc()
	}
}

// Collect looks at them.
func (s *state) Collect(out chan<- prometheus.Metric) {
	stats := s.o.Stats()
	queued.gauge(out, float64(stats.Queued))
	running.gauge(out, float64(stats.Running))
	sessionsOpen.gauge(out, float64(stats.Sessions))
	sessionBytes.gauge(out, float64(stats.SessionBytes))
	buildInfo.gauge(out, 1, s.o.Version, runtime.Version())
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	h := s.o.Health(ctx)
	for _, d := range h.Devices {
		deviceOK.gauge(out, *number01(&d.OK), d.ID)
	}
	for _, src := range h.Sources {
		if src.LastSuccess != nil {
			sourceSuccess.gauge(out, float64(src.LastSuccess.Unix()), src.Name)
		}
	}
	for _, p := range s.o.Peers(ctx) {
		peerBytes.gauge(out, float64(p.Bytes), p.ID)
		peerConnected.gauge(out, *number01(&p.Connected), p.ID)
	}
	pids := s.o.Runners()
	runners.gauge(out, float64(len(pids)))
	collectRunners(out, pids)
	collectSensors(out)
	collectGPUs(out, s.o.GPUs(ctx))
}

// collectGPUs tells how the GPUs are.
func collectGPUs(out chan<- prometheus.Metric, gpus []hardware.GPUReading) {
	for _, g := range gpus {
		for _, of := range []struct {
			d     definition
			value *float64
			label string
		}{{gpuBusy, g.Busy, g.Card}, {temperature, g.Celsius, g.Card}, {gpuMemory, g.MemoryUsed, g.Card}, {gpuPower, g.Watts, g.Card}, {gpuThrottled, number01(g.Throttled), g.Card}} {
			if of.value != nil {
				of.d.gauge(out, *of.value, of.label)
			}
		}
	}
}

func number01(b *bool) *float64 {
	if b == nil {
		return nil
	}
	n := 0.0
	if *b {
		n = 1
	}
	return &n
}
