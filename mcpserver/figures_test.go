//go:build figures

// The figures of `make bench` that are the protocol's. They are printed, never
// asserted.
package mcpserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/server"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/tools"
)

const (
	loadRounds    = 5
	cancellations = 100
)

func TestFigures(t *testing.T) {
	loadFigure(t)
	cancelFigure(t)
}

// loadFigure is the time that one in a hundred calls of 64 clients takes longer
// than, over a bare mcp-go server with the same tools: medians of rounds in
// turn.
func loadFigure(t *testing.T) {
	ours := serveWith(t, loaded(newFake()), mcpserver.HTTPOptions{Drain: time.Minute})
	plain := httptest.NewServer(bare(newFake()))
	defer plain.Close()
	var here, there []time.Duration
	for round := range uint64(loadRounds) {
		here = append(here, load(t, ours.url, 200, round).p99())
		there = append(there, load(t, plain.URL, 200, round).p99())
	}
	fmt.Printf("# M1 median p99 of %d rounds: ours %v, bare %v\n", loadRounds, middle(here), middle(there))
	printFigure("M1", float64(middle(here))/float64(middle(there)), "ratio", 3)
}

// bare is mcp-go alone, with the same tools.
func bare(e *fake) http.Handler {
	s := server.NewMCPServer("bare", "1", server.WithToolCapabilities(false))
	s.AddTools(tools.All(e, nil)...)
	work(s)
	mux := http.NewServeMux()
	mux.Handle("/mcp", server.NewStreamableHTTPServer(s))
	return mux
}

// cancelFigure is how long it takes from a client's word that a call is taken
// back until the call's context is done.
func cancelFigure(t *testing.T) {
	e := newFake()
	c := dial(t, newServer(e), time.Minute)
	c.send(initialize)
	c.receive()
	var took []time.Duration
	for i := range cancellations {
		c.send(request(i+1, "hold", "x"))
		<-e.started
		start := time.Now()
		c.send(fmt.Sprintf(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%d}}`, i+1))
		<-e.ended //nolint:errcheck // it was taken back
		took = append(took, time.Since(start))
	}
	c.close()
	printFigure("M2", float64(middle(took).Microseconds())/1000, "ms", 20)
}

func middle(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}

func printFigure(id string, value float64, unit string, goal float64) {
	verdict := "ok"
	if value > goal {
		verdict = "short"
	}
	fmt.Printf("%s %.3f %s <=%g %s\n", id, value, unit, goal, verdict)
}
