package wire_test

import (
	"context"
	"net"
	"testing"

	"go.uber.org/goleak"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A link is a provider reached over a stream, as a plug-in would build it.
type link struct{ *wire.Client }

func (l link) Name() string                                       { return l.Provider() }
func (l link) Devices(context.Context) ([]hardware.Device, error) { return l.Client.Devices(), nil }

// dial serves p at the other end of a pipe until the test ends.
func dial(t testing.TB, p engine.ExecutionProvider, so wire.ServeOptions, co wire.ClientOptions) *wire.Client {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- wire.Serve(context.WithoutCancel(t.Context()), p, far, so) }()
	c, err := wire.NewClient(t.Context(), near, co)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close() // it always works
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return c
}

func TestClient_isAProvider(t *testing.T) {
	enginetest.TestProvider(t, func(t testing.TB) engine.ExecutionProvider {
		return link{dial(t, new(enginetest.Fake), wire.ServeOptions{}, wire.ClientOptions{})}
	})
}

func TestClient_isAProviderWithSharedMemory(t *testing.T) {
	enginetest.TestProvider(t, func(t testing.TB) engine.ExecutionProvider {
		memory := make([]byte, 1<<20)
		return link{dial(t, new(enginetest.Fake), wire.ServeOptions{Shared: memory}, wire.ClientOptions{Shared: memory})}
	})
}
