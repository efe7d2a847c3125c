//go:build unix

package runner

import (
	"context"
	"io"
	"os"
	"syscall"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

// Serve is the child's side: it answers the parent that started this process,
// over descriptors 3 and 4, with the memory of descriptor 5 shared if there is
// one. When the parent closes the connection or dies the whole process exits,
// whatever C code may be doing.
func Serve(ctx context.Context, provider engine.ExecutionProvider, o wire.ServeOptions) error {
	var conn stream
	for i, end := range []**os.File{&conn.r, &conn.w} {
		if err := syscall.SetNonblock(3+i, true); err != nil { // so that a read ends when the file is closed
			return engine.Errorf(engine.ErrInvalidArgument, "descriptor %d is no connection to a parent: %w", 3+i, err)
		}
		*end = os.NewFile(uintptr(3+i), "parent")
	}
	memory, err := inheritMemory()
	if err != nil {
		return err
	}
	o.Shared = memory
	return wire.Serve(ctx, provider, parent{conn}, o)
}

// A parent is a connection whose end is the end of this process.
type parent struct{ stream }

func (p parent) Read(b []byte) (int, error) {
	n, err := p.stream.Read(b)
	if err == io.EOF { //nolint:errorlint // os.File returns it bare
		os.Exit(0)
	}
	return n, err
}
