package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/metrics"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/traces"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/resources"
)

// observers are told what a server does.
type observers struct {
	metrics *metrics.Metrics
	traces  *traces.Traces // nil unless it was asked for
}

var _ engine.Observer = (*observers)(nil)

// observe makes the observers of a server; a command has none.
func (a *app) observe(serving bool) (engine.Observer, error) {
	if !serving {
		return nil, nil //nolint:nilnil // nobody is told, which is no error
	}
	a.watch = &observers{metrics: metrics.New(metrics.Options{
		Version: Version, Logger: a.log, Runners: a.runner.Children, GPUs: hardware.ReadGPUs, Peers: a.knownPeers,
		Stats:  func() engine.Stats { return a.engine.Stats() }, // there is no engine yet
		Health: func(ctx context.Context) engine.Health { return a.engine.Health(ctx) },
	})}
	if endpoint := a.settings().Telemetry.OTLPEndpoint; traces.Wanted(endpoint) {
		var err error
		if a.watch.traces, err = traces.Open(context.Background(), endpoint, Version, a.log); err != nil {
			return nil, err
		}
	}
	return a.watch, nil
}

// knownPeers are the peers of the host, if they are used and it runs.
func (a *app) knownPeers(ctx context.Context) []metrics.Peer {
	if !a.settings().P2P.Enabled {
		return nil // to ask would keep a host that others started
	}
	s, err := a.peers.Status(ctx, false)
	if err != nil {
		return nil // none runs
	}
	out := make([]metrics.Peer, len(s.Peers))
	for i, p := range s.Peers {
		out[i] = metrics.Peer{ID: p.ID, Bytes: p.Bytes, Connected: p.Connected}
	}
	return out
}

// Inferred tells of an inference.
func (o *observers) Inferred(ctx context.Context, i engine.Inferred) {
	o.metrics.Inferred(ctx, i)
	if o.traces != nil {
		o.traces.Inferred(ctx, i)
	}
}

// Fetched tells of a fetch.
func (o *observers) Fetched(ctx context.Context, f engine.FetchedFrom) {
	o.metrics.Fetched(ctx, f)
	if o.traces != nil {
		o.traces.Fetched(ctx, f)
	}
}

// called tells of a call of a tool.
func (o *observers) called(ctx context.Context, c mcpserver.Call) (context.Context, func(mcpserver.Outcome)) {
	end := func(engine.Code) {}
	if o.traces != nil {
		ctx, end = o.traces.Start(ctx, c.Tool, c.RequestID, c.TraceParent)
	}
	return ctx, func(out mcpserver.Outcome) {
		o.metrics.Called(c.Tool, out.Code, out.Took)
		end(out.Code)
	}
}

// close tells what was not told yet.
func (o *observers) close() error {
	if o == nil || o.traces == nil {
		return nil
	}
	return o.traces.Close()
}

// ready says why the server can't do its work, with how each source is.
func (a *app) ready(ctx context.Context) error {
	h := a.engine.Health(ctx)
	if h.Store != "ok" {
		return errors.New("the store can't be read")
	}
	for _, d := range h.Devices {
		if d.OK {
			return nil
		}
	}
	if len(h.Devices) > 0 {
		return fmt.Errorf("no device computes right: %s: %s", h.Devices[0].ID, h.Devices[0].Reason)
	}
	return nil
}

// report is how each source is, a line each.
func (a *app) report(ctx context.Context) string {
	var b strings.Builder
	for _, s := range a.engine.Health(ctx).Sources {
		last := "nothing yet"
		if s.LastSuccess != nil {
			last = s.LastSuccess.Format("2006-01-02T15:04:05Z")
		}
		fmt.Fprintf(&b, "source %s: last success %s, failures %d\n", s.Name, last, s.Failures)
	}
	return b.String()
}

// views are the resources that the program makes.
func (a *app) views() []resources.View {
	return []resources.View{
		{
			URI: "config://", Name: "Configuration", Description: "The configuration as it holds, with where each value comes from; no secrets",
			Read: func(context.Context) ([]byte, error) { return json.Marshal(publicConfig(a.settings())) },
		},
		{
			URI: "metrics://", Name: "Metrics", Description: "Counters and timings since the start, as Prometheus reads them", MIMEType: "text/plain",
			Read: func(context.Context) ([]byte, error) { return a.watch.metrics.Text() },
		},
		{
			URI: "health://", Name: "Health", Description: "How devices, sources and the store are, and what went wrong since the start",
			Read: func(ctx context.Context) ([]byte, error) { return json.Marshal(a.engine.Health(ctx)) },
		},
	}
}

// publicConfig is the configuration as any client may see it.
func publicConfig(l *config.Loaded) map[string]any {
	left := []string{}
	for _, w := range l.Warnings {
		w.Origin.File = config.Shorten(w.Origin.File)
		left = append(left, w.String())
	}
	return map[string]any{"settings": l.Public(), "left_out": left}
}
