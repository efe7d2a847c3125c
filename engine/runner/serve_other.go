//go:build !unix

package runner

import (
	"context"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

// Serve fails: a runner's connection is not inherited on this system yet.
func Serve(context.Context, engine.ExecutionProvider, wire.ServeOptions) error {
	return engine.Errorf(engine.ErrUnsupported, "runners are not supported on this system yet")
}
