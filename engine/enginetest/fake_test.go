package enginetest_test

import (
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
)

func TestFake(t *testing.T) {
	enginetest.TestProvider(t, func(testing.TB) engine.ExecutionProvider { return new(enginetest.Fake) })
}
