// Package traces tells an OpenTelemetry collector how the calls of a server
// went: a span for each call and one for each of its phases. Nothing of what
// was asked is in them.
package traces

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/metrics"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// The variables that name a collector, as OpenTelemetry has them.
var variables = []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// Wanted reports whether traces are to be sent: to endpoint, or to what the
// variables of OpenTelemetry name.
func Wanted(endpoint string) bool {
	for _, name := range variables {
		if os.Getenv(name) != "" {
			return os.Getenv("OTEL_SDK_DISABLED") != "true"
		}
	}
	return endpoint != ""
}

// Traces sends spans. The caller closes it.
type Traces struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Open begins to send to the collector at endpoint (its base URL) or, if that
// is empty, where the variables of OpenTelemetry say. It connects when there
// is something to send.
func Open(ctx context.Context, endpoint, version string, log *slog.Logger) (*Traces, error) {
	var options []otlptracehttp.Option
	if endpoint != "" {
		full, err := url.JoinPath(endpoint, "v1", "traces")
		if err != nil {
			return nil, fmt.Errorf("telemetry endpoint: %w", err)
		}
		options = append(options, otlptracehttp.WithEndpointURL(full))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces can't be sent", "error", err) }))
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "ipfs-accelerate"), attribute.String("service.version", version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about))
	return &Traces{p, p.Tracer("ipfs-accelerate")}, nil
}

// Close sends what is left, for at most five seconds.
func (t *Traces) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return t.provider.Shutdown(ctx)
}

// Start begins the span of a call. A traceparent, if it is one, is the
// caller's span. The function ends it; code is "" if the call went well.
func (t *Traces) Start(ctx context.Context, tool, requestID, traceparent string) (context.Context, func(code engine.Code)) {
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
	ctx, span := t.tracer.Start(ctx, tool, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("mcp.request.id", requestID)))
	return ctx, func(code engine.Code) {
		fail(span, code)
		span.End()
	}
}

func fail(span trace.Span, code engine.Code) {
	if code != "" {
		span.SetStatus(codes.Error, string(code))
		span.SetAttributes(attribute.String("error.type", string(code)))
	}
}

// Inferred adds an inference with its phases under the span of ctx.
func (t *Traces) Inferred(ctx context.Context, i engine.Inferred) {
	at := i.Start
	ctx, span := t.tracer.Start(ctx, "inference", trace.WithTimestamp(at), trace.WithAttributes(
		attribute.String("model", i.Model), attribute.String("device", i.Device), attribute.String("cache", i.Cache), attribute.String("task", i.Task), attribute.String("run_id", i.RunID),
	))
	for _, p := range metrics.Phases(i.Timings) {
		if p.MS <= 0 {
			continue
		}
		within, phase := t.tracer.Start(ctx, p.Name, trace.WithTimestamp(at))
		end := at.Add(time.Duration(p.MS * float64(time.Millisecond)))
		if p.Name == "run" && i.Compute > 0 { // the way there is about as long as the way back
			from := at.Add(max(end.Sub(at)-i.Compute, 0) / 2)
			_, compute := t.tracer.Start(within, "compute", trace.WithTimestamp(from), trace.WithAttributes(attribute.String("process", "runner")))
			compute.End(trace.WithTimestamp(from.Add(i.Compute)))
		}
		at = end
		phase.End(trace.WithTimestamp(at))
	}
	fail(span, i.Code)
	span.End(trace.WithTimestamp(i.Start.Add(time.Duration(i.Timings.Total * float64(time.Millisecond)))))
}

// Fetched adds a fetch under the span of ctx.
func (t *Traces) Fetched(ctx context.Context, f engine.FetchedFrom) {
	_, span := t.tracer.Start(ctx, "fetch from sources", trace.WithTimestamp(f.Start))
	for _, s := range f.Sources {
		span.AddEvent("source", trace.WithTimestamp(f.Start.Add(f.Took)), trace.WithAttributes(attribute.String("name", s.Name), attribute.Int64("bytes", s.Bytes), attribute.Int64("errors", s.Errors)))
	}
	fail(span, f.Code)
	span.End(trace.WithTimestamp(f.Start.Add(f.Took)))
}
