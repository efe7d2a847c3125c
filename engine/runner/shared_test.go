//go:build unix

package runner_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

// newShared returns a provider whose sessions share a child on each device.
func newShared(t testing.TB) *runner.Provider {
	t.Helper()
	return newProvider(t, runner.Options{Accelerator: "{}", Shared: []string{filepath.Dir(filepath.Dir(t.TempDir()))}}) // where the models of tests are
}

func TestProvider_shared(t *testing.T) {
	enginetest.TestProvider(t, func(t testing.TB) engine.ExecutionProvider { return newShared(t) })
}

func runs(t *testing.T, s engine.Session) {
	t.Helper()
	out, err := s.Run(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	if got := out["y"].Data; !slices.Equal(got, x["x"].Data) {
		t.Errorf("got %v, want %v", got, x["x"].Data)
	}
}

func wantChildren(t *testing.T, p *runner.Provider, n int) {
	t.Helper()
	if pids := p.Children(); len(pids) != n {
		t.Errorf("children %v, want %d", pids, n)
	}
}

// Sessions of one device are in one child, which goes with the last of them.
func TestShared_oneChild(t *testing.T) {
	p := newShared(t)
	a, b := open(t, p, enginetest.Identity(om.Float, 1)), open(t, p, enginetest.Identity(om.Float, 1))
	wantChildren(t, p, 1)
	runs(t, a)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	runs(t, b)
	wantChildren(t, p, 1)
	if _, err := a.Run(t.Context(), x); err == nil {
		t.Error("a session that was closed ran")
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	wantChildren(t, p, 0)
}

func TestShared_eachDevice(t *testing.T) {
	p := newShared(t)
	for _, id := range []string{"gpu:0", "gpu:1"} {
		s, err := p.NewSession(t.Context(), enginetest.WriteModel(t, enginetest.Identity(om.Float, 1)), enginetest.ModelFile, onDevice(id))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() // not what is tested
	}
	wantChildren(t, p, 2)
}

func onDevice(id string) (plan engine.Plan) {
	plan.Device.ID = id
	return plan
}

// Models that are not all in the folders, and those that write a profile, have
// a child of their own.
func TestShared_ownChild(t *testing.T) {
	p := newShared(t)
	shared := open(t, p, enginetest.Identity(om.Float, 1))
	linked := enginetest.WriteModel(t, enginetest.Identity(om.Float, 1))
	if err := os.Symlink(t.TempDir(), filepath.Join(linked.Dir, "weights")); err != nil {
		t.Fatal(err)
	}
	for n, c := range []struct {
		m    *engine.Model
		plan engine.Plan
	}{{linked, engine.Plan{}}, {enginetest.WriteModel(t, enginetest.Identity(om.Float, 1)), engine.Plan{Profile: filepath.Join(t.TempDir(), "profile")}}} {
		s, err := p.NewSession(t.Context(), c.m, enginetest.ModelFile, c.plan)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() // not what is tested
		wantChildren(t, p, 2+n)
		runs(t, s)
	}
	runs(t, shared)
}

// A child that is killed is lost to all who share it, and they share the next.
func TestShared_killed(t *testing.T) {
	p := newShared(t)
	a, b := open(t, p, enginetest.Identity(om.Float, 1)), open(t, p, enginetest.Identity(om.Float, 1))
	before := p.Children()
	if err := syscall.Kill(before[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for _, s := range []engine.Session{a, b} {
		if _, err := s.Run(t.Context(), x); err != nil { // unless it was seen dead before
			wantCode(t, err, engine.ErrRunnerCrashed)
		}
		runs(t, s)
	}
	if after := p.Children(); len(after) != 1 || after[0] == before[0] {
		t.Errorf("children %v, after %v", after, before)
	}
}

// A model that can't be opened does no harm to others in the child.
func TestShared_badModel(t *testing.T) {
	p := newShared(t)
	good := open(t, p, enginetest.Identity(om.Float, 1))
	bad := enginetest.WriteModel(t, enginetest.Identity(om.Float, 1))
	if err := os.WriteFile(filepath.Join(bad.Dir, enginetest.ModelFile), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	pids := p.Children()
	_, err := p.NewSession(t.Context(), bad, enginetest.ModelFile, engine.Plan{})
	wantCode(t, err, engine.ErrModelInvalid)
	runs(t, good)
	if !slices.Equal(p.Children(), pids) {
		t.Errorf("children %v, before %v", p.Children(), pids)
	}
}

func TestWithin(t *testing.T) {
	folders := []string{filepath.Join(t.TempDir(), "models")}
	model := filepath.Join(folders[0], "a", "b")
	if err := os.MkdirAll(model, 0o700); err != nil {
		t.Fatal(err)
	}
	if !runner.Within(model, folders) {
		t.Error("a folder is not within another that it is in")
	}
	if out := filepath.Dir(folders[0]); runner.Within(out, folders) || runner.Within(filepath.Join(folders[0], "..", "c"), folders) {
		t.Errorf("%s is within %s", out, folders)
	}
	if runner.Within(filepath.Join(folders[0], "absent"), folders) {
		t.Error("what is not there is within a folder")
	}
}
