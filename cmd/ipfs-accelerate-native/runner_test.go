//go:build unix

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// program is the plain binary: memory can't be limited under the race detector.
var program string

func TestMain(m *testing.M) {
	code, err := build(m)
	if err != nil {
		panic(err)
	}
	if err := goleak.Find(); err != nil && code == 0 {
		panic(err)
	}
	os.Exit(code)
}

// build builds the program, runs the tests and removes it.
func build(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "native")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) // only untidy
	program = filepath.Join(dir, "ipfs-accelerate-native")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

func newProvider(t testing.TB, o runner.Options) *runner.Provider {
	t.Helper()
	o.Command = []string{program, "runner"}
	if o.Library == nil {
		library := enginetest.Runtime(t)
		o.Library = func() (string, error) { return library, nil }
	}
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
