package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// A definition is a metric as it is published and documented.
type definition struct {
	name   string // without the prefix
	kind   string // counter, gauge or histogram
	help   string
	labels []string
}

const prefix = "ipfs_accelerate_"

// What is counted when it happens.
var (
	toolCalls    = define("tool_calls_total", "counter", "Calls of tools; code is ok or that of the error.", "tool", "code")
	toolSeconds  = define("tool_call_duration_seconds", "histogram", "How long calls of tools took.", "tool")
	phaseSeconds = define("inference_phase_duration_seconds", "histogram",
		"How long the phases of inferences that were answered took: fetch, queue, load, preprocess, run, postprocess, and total; compute is the part of run within the runner.", "phase")
	inferences   = define("inferences_total", "counter", "Inferences by the device that ran them (empty: none was reached); code is ok or that of the error.", "device", "code")
	cacheHits    = define("model_cache_hits_total", "counter", "Where inferences found their model: L1 an open session, L2 the store, L3 a local node, L4 far away.", "level")
	fetchSeconds = define("fetch_duration_seconds", "histogram", "How long it took to get models from sources; code is ok or that of the error.", "code")
	sourceBytes  = define("source_bytes_total", "counter", "Verified bytes that sources gave.", "source")
	sourceErrors = define("source_errors_total", "counter", "Calls to sources that failed; a block that is not there is no failure.", "source")
)

// What is looked at when somebody asks.
var (
	queued        = define("queue_length", "gauge", "Runs that wait for processor cores.")
	running       = define("runs_in_progress", "gauge", "Runs that compute.")
	sessionsOpen  = define("sessions_open", "gauge", "Models that are open (L1).")
	sessionBytes  = define("sessions_bytes", "gauge", "What the open models are thought to take.")
	deviceOK      = define("device_ok", "gauge", "Whether the last canary of a device went right; one that did not is not used.", "device")
	sourceSuccess = define("source_last_success_timestamp_seconds", "gauge", "When a source last gave something, if it has since the start.", "source")
	peerBytes     = define("peer_bytes_total", "counter", "Verified bytes that a peer gave since the host of peers started.", "peer")
	peerConnected = define("peer_connected", "gauge", "Whether a known peer is connected.", "peer")
	runners       = define("runners", "gauge", "Processes that hold models, the spare included.")
	runnerMemory  = define("runner_resident_memory_bytes", "gauge", "Resident memory of a runner (Linux).", "pid")
	runnerCPU     = define("runner_cpu_seconds_total", "counter", "Processor time of a runner (Linux).", "pid")
	temperature   = define("temperature_celsius", "gauge", "Temperatures that the machine tells (Linux), and of GPUs that nvidia-smi does.", "sensor")
	throttles     = define("cpu_throttles_total", "counter", "How often the processor was slowed down for its heat since the machine started (Linux on Intel).")
	gpuBusy       = define("gpu_busy_ratio", "gauge", "How busy a GPU is, where its driver or nvidia-smi tells.", "card")
	gpuMemory     = define("gpu_memory_used_bytes", "gauge", "What is in use of a GPU's memory, as nvidia-smi tells.", "card")
	gpuPower      = define("gpu_power_watts", "gauge", "What a GPU draws, as nvidia-smi tells.", "card")
	gpuThrottled  = define("gpu_throttled", "gauge", "Whether a GPU is slowed down for its heat or power, as nvidia-smi tells.", "card")
	buildInfo     = define("build_info", "gauge", "1; the labels are versions.", "version", "goversion")

	looked = []definition{
		queued, running, sessionsOpen, sessionBytes, deviceOK, sourceSuccess, peerBytes, peerConnected, runners, runnerMemory, runnerCPU, temperature, throttles,
		gpuBusy, gpuMemory, gpuPower, gpuThrottled, buildInfo,
	}
	counted = []definition{toolCalls, toolSeconds, phaseSeconds, inferences, cacheHits, fetchSeconds, sourceBytes, sourceErrors}
)

func define(name, kind, help string, labels ...string) definition {
	return definition{prefix + name, kind, help, labels}
}

func (d definition) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: d.name, Help: d.help}, d.labels)
}

func (d definition) histogram() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: d.name, Help: d.help, Buckets: buckets}, d.labels)
}

func (d definition) desc() *prometheus.Desc { return prometheus.NewDesc(d.name, d.help, d.labels, nil) }

func (d definition) gauge(out chan<- prometheus.Metric, value float64, labels ...string) {
	kind := prometheus.GaugeValue
	if d.kind == "counter" {
		kind = prometheus.CounterValue
	}
	out <- prometheus.MustNewConstMetric(d.desc(), kind, value, labels...)
}

// Reference is the page that says what every metric is.
func Reference() string {
	var b strings.Builder
	b.WriteString("# Metrics\n\nAt `/metrics` of a server over http, for Prometheus, and as the same text at `metrics://`. " +
		"Beside these there are the `go_*` and `process_*` metrics of Prometheus' Go client, for the server's own memory, garbage collection, files and processor time.\n\n" +
		"| metric | type | labels | what it is |\n|---|---|---|---|\n")
	all := slices.SortedFunc(slices.Values(slices.Concat(counted, looked)), func(a, b definition) int { return cmp.Compare(a.name, b.name) })
	for _, d := range all {
		labels := "-"
		if len(d.labels) > 0 {
			labels = "`" + strings.Join(d.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, d.kind, labels, d.help)
	}
	b.WriteString(tracesPage)
	return b.String()
}

const tracesPage = "\n# Traces\n\n" +
	"With `telemetry.otlp_endpoint`, or OpenTelemetry's own `OTEL_EXPORTER_OTLP_ENDPOINT`, each call of a tool is a trace: a span named after the tool,\n" +
	"and under it one for each phase of an inference (`fetch`, `queue`, `load`, `preprocess`, `run`, `postprocess`), laid one after the other as their\n" +
	"lengths were measured; under `run` there is `compute`, what it took within the runner. A call that brings a `traceparent` in its `_meta` continues its caller's trace. Nothing of what was asked is in them.\n"
