package traces

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	span "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A call is a span, its inference one under it, and each phase one under that;
// a caller's trace is continued.
func TestTraces(t *testing.T) {
	got := make(chan *collector.ExportTraceServiceRequest, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req collector.ExportTraceServiceRequest
		data, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(data, &req)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
		}
		got <- &req
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	tr, err := Open(t.Context(), server.URL, "1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := tr.Start(t.Context(), "run_inference", "7", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	tr.Inferred(context.WithoutCancel(ctx), engine.Inferred{Start: time.Now(), Device: "cpu", Timings: engine.InferTimingsMS{Queue: 1, Run: 5, Total: 9}, Compute: 3 * time.Millisecond})
	tr.Fetched(ctx, engine.FetchedFrom{Start: time.Now(), Took: time.Second, Sources: []engine.SourceUse{{Name: "lab"}}, Code: engine.ErrHashMismatch})
	end(engine.ErrInternal)
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	close(got)
	byName := map[string]*span.Span{}
	for req := range got {
		for _, s := range req.ResourceSpans[0].ScopeSpans[0].Spans {
			byName[s.Name] = s
		}
	}
	root, inference, run, compute := byName["run_inference"], byName["inference"], byName["run"], byName["compute"]
	if len(byName) != 6 || root == nil || inference == nil || run == nil || compute == nil {
		t.Fatalf("%v", byName)
	}
	if string(root.ParentSpanId) != "\xb7\xad\x6b\x71\x69\x20\x33\x31" || root.Status.Code != span.Status_STATUS_CODE_ERROR {
		t.Errorf("%v", root)
	}
	if string(inference.ParentSpanId) != string(root.SpanId) || string(run.ParentSpanId) != string(inference.SpanId) || run.EndTimeUnixNano-run.StartTimeUnixNano != 5e6 {
		t.Errorf("%v, %v", inference, run)
	}
	if string(compute.ParentSpanId) != string(run.SpanId) || compute.StartTimeUnixNano-run.StartTimeUnixNano != 1e6 || run.EndTimeUnixNano-compute.EndTimeUnixNano != 1e6 {
		t.Errorf("%v within %v", compute, run)
	}
}

func TestWanted(t *testing.T) {
	for _, name := range variables {
		t.Setenv(name, "")
	}
	if Wanted("") || !Wanted("http://127.0.0.1:4318") {
		t.Error("the configuration does not decide")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
	if !Wanted("") {
		t.Error("the variable does not count")
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if Wanted("") {
		t.Error("it can't be switched off")
	}
}
