package main

import (
	"context"
	"os"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // the database/sql driver "duckdb"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/benchdb"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/sandbox"
)

// runWorker answers one request for the database.
func runWorker(ctx context.Context, _ []string) error {
	result := benchdb.ResultFile()
	if err := silenceStdout(); err != nil {
		return err
	}
	return benchdb.Work(ctx, os.Stdin, result, benchdb.WorkerOptions{
		Driver: "duckdb",
		Confine: func(memory int64, cpu time.Duration) (string, error) {
			level, err := sandbox.Apply(sandbox.Policy{MemoryBytes: memory, CPU: cpu, NoNetwork: true, NoExec: true, NoWrite: true})
			return confined(level), err
		},
	})
}

// confined says in the database's words how far a sandbox goes.
func confined(l sandbox.Level) string {
	switch l {
	case sandbox.Full:
		return "full"
	case sandbox.Seccomp:
		return "partial"
	}
	return "none"
}
