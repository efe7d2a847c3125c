package enginetest

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// TestTask checks that a task does what [engine.Task] and [engine.Pipeline]
// promise. m is a model it can load, s opens m's sessions, and r is a request
// that it answers.
func TestTask(t *testing.T, task engine.Task, m *engine.Model, s engine.Sessions, r engine.Request) {
	p, err := task.Load(t.Context(), m)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	want, err := p.Run(t.Context(), s, r)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	t.Run("has a name and documentation", func(t *testing.T) { taskDocumented(t, task) })
	t.Run("outputs say their item, in order", func(t *testing.T) { taskOutputs(t, want, r) })
	t.Run("refuses an empty folder", func(t *testing.T) { taskEmptyFolder(t, task) })
	t.Run("refuses unknown parameters", func(t *testing.T) { taskParameters(t, p, s, r) })
	t.Run("answers the same concurrently", func(t *testing.T) { taskConcurrent(t, p, s, r, want) })
	t.Run("obeys its context", func(t *testing.T) { taskCancelled(t, p, s, r) })
	t.Run("passes on that no session opens", func(t *testing.T) { taskNoSession(t, p, r) })
}

func taskDocumented(t *testing.T, task engine.Task) {
	if task.Name() == "" || strings.ToLower(task.Name()) != task.Name() {
		t.Errorf("its name is %q", task.Name())
	}
	if d, ok := task.(engine.Documenter); !ok || !strings.Contains(d.Doc(), task.Name()) {
		t.Error("it does not document itself")
	}
}

func taskOutputs(t *testing.T, a engine.Answer, r engine.Request) {
	last := 0
	for _, o := range a.Outputs {
		if o.Item < last || o.Item >= len(r.Items) {
			t.Errorf("item %d after %d, of %d", o.Item, last, len(r.Items))
		}
		last = o.Item
	}
	if _, err := json.Marshal(a.Outputs); err != nil {
		t.Errorf("outputs are not JSON: %v", err)
	}
	if a.Timings.Run <= 0 {
		t.Errorf("timings %+v", a.Timings)
	}
}

func taskEmptyFolder(t *testing.T, task engine.Task) {
	_, err := task.Load(t.Context(), &engine.Model{Dir: t.TempDir()})
	if !errors.Is(err, engine.ErrModelInvalid) && !errors.Is(err, engine.ErrNoOnnx) {
		t.Errorf("%v", err)
	}
}

func taskParameters(t *testing.T, p engine.Pipeline, s engine.Sessions, r engine.Request) {
	for _, bad := range []string{`{"no_such_parameter":1}`, `[]`, `"x"`, `{`} {
		r.Parameters = json.RawMessage(bad)
		if _, err := p.Run(t.Context(), s, r); !errors.Is(err, engine.ErrInvalidArgument) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func taskConcurrent(t *testing.T, p engine.Pipeline, s engine.Sessions, r engine.Request, want engine.Answer) {
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			got, err := p.Run(t.Context(), s, r)
			if err != nil || !reflect.DeepEqual(got.Outputs, want.Outputs) {
				t.Errorf("another answer, %v", err)
			}
		})
	}
	group.Wait()
}

func taskCancelled(t *testing.T, p engine.Pipeline, s engine.Sessions, r engine.Request) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Run(ctx, s, r); !errors.Is(err, context.Canceled) && !errors.Is(err, engine.ErrCancelled) {
		t.Errorf("%v", err)
	}
}

// closed opens no session.
type closed struct{}

var errClosed = errors.New("no session here")

func (closed) Open(context.Context, string) (engine.Session, error) { return nil, errClosed }

func taskNoSession(t *testing.T, p engine.Pipeline, r engine.Request) {
	if _, err := p.Run(t.Context(), closed{}, r); !errors.Is(err, errClosed) {
		t.Errorf("%v", err)
	}
}
