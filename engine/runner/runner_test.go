//go:build unix

package runner_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

// childEnv makes the test binary a runner: a fake provider with operators that
// misbehave.
const childEnv = "IPFS_ACCELERATE_TEST_RUNNER"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		goleak.VerifyTestMain(m)
	case "parent":
		beParent()
	default:
		beRunner()
	}
}

// quickRuns are how many runs are answered at once by those operators that
// misbehave later.
const quickRuns = 20

// beRunner is what a child does.
func beRunner() {
	runs := 0
	fake := &enginetest.Fake{Ops: map[string]enginetest.Op{
		"KilledLater": func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			if runs++; runs <= quickRuns {
				return in, nil
			}
			return nil, die(syscall.SIGKILL)
		},
		"HangLater": func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			if runs++; runs <= quickRuns {
				return in, nil
			}
			select {}
		},
		"Abort": func(context.Context, []*engine.Tensor) ([]*engine.Tensor, error) {
			signal.Reset(syscall.SIGABRT)
			fmt.Fprintln(os.Stderr, "terminate called after throwing an instance of 'std::runtime_error'")
			return nil, die(syscall.SIGABRT)
		},
		"BadAlloc": func(context.Context, []*engine.Tensor) ([]*engine.Tensor, error) {
			fmt.Fprintln(os.Stderr, "terminate called after throwing an instance of 'std::bad_alloc'")
			return nil, die(syscall.SIGABRT)
		},
		"Hang": func(context.Context, []*engine.Tensor) ([]*engine.Tensor, error) {
			select {}
		},
	}}
	o := wire.ServeOptions{MaxSessions: 1}
	if slices.Contains(os.Args, "--shared") {
		o.MaxSessions = 0
	}
	if err := runner.Serve(context.Background(), fake, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// newProvider returns a provider whose children are this test binary.
func newProvider(t testing.TB, o runner.Options) *runner.Provider {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o.Command = []string{exe}
	o.Env = append(o.Env, childEnv+"=runner", "GORACE=atexit_sleep_ms=0") // the race detector would have every exit take a second
	p := runner.New(o)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if left := p.Children(); len(left) != 0 {
			t.Errorf("children are left: %v", left)
		}
	})
	return p
}

func TestProvider(t *testing.T) {
	enginetest.TestProvider(t, func(t testing.TB) engine.ExecutionProvider {
		return newProvider(t, runner.Options{})
	})
}

// op is a model y = op(x).
func op(name string) om.Model {
	m := enginetest.Identity(om.Float, 1)
	m.Graph.Nodes[0].Op = name
	return m
}
