// Command demo does the main job once, on real input, and says what it does:
// an agent connects over MCP, looks at the hardware, fetches two models by
// their CIDs, embeds sentences, finds a face in a photograph, benchmarks and
// queries. Run it with `make demo`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run is the whole demo.
func run(ctx context.Context) (err error) {
	start := time.Now()
	d := &demo{binary: "bin/ipfs-accelerate", dir: "demo"}
	if err := d.prepare(ctx); err != nil {
		return err
	}
	stopGateway, err := d.startGateway(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopGateway()) }()
	empty, err := os.MkdirTemp("", "ipfs-accelerate-demo-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(empty)) }()
	agent, err := d.connect(ctx, empty)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, agent.close()) }()
	if err := agent.work(ctx, d); err != nil {
		return err
	}
	say("\nDone in %.1f s. Both models stay in your own store: try\n  bin/ipfs-accelerate infer minilm \"any sentence\" \"another\" --parameters '{\"similarity\":true}'", time.Since(start).Seconds())
	return nil
}

// say prints one line for the person who watches.
func say(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
}
