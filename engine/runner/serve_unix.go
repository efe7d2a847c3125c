//go:build unix

package runner

import (
	"context"
	"io"
	"net"
	"os"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

// Serve is the child's side: it answers the parent that started this process,
// over descriptor 3. When the parent closes the connection or dies the whole
// process exits, whatever C code may be doing.
func Serve(ctx context.Context, provider engine.ExecutionProvider, o wire.ServeOptions) error {
	f := os.NewFile(3, "parent")
	conn, err := net.FileConn(f)
	f.Close() // FileConn has made its own copy
	if err != nil {
		return engine.Errorf(engine.ErrInvalidArgument, "descriptor 3 is no connection to a parent: %w", err)
	}
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return engine.Errorf(engine.ErrInvalidArgument, "descriptor 3 is no connection to a parent")
	}
	return wire.Serve(ctx, provider, parent{socket}, o)
}

// A parent is a connection whose end is the end of this process. That it is a
// UnixConn keeps writes of several parts one system call.
type parent struct{ *net.UnixConn }

func (p parent) Read(b []byte) (int, error) {
	n, err := p.UnixConn.Read(b)
	if err == io.EOF { //nolint:errorlint // net.Conn returns it bare
		os.Exit(0)
	}
	return n, err
}
