package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
)

// spelled is a task whose texts are their letters' numbers, and whose answer is
// what the model makes of them.
type spelled struct{}

func (spelled) Name() string { return "spelled" }

func (spelled) Load(context.Context, *engine.Model) (engine.Pipeline, error) { return spelled{}, nil }

func (spelled) Close() error { return nil }

func (spelled) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	session, err := s.Open(ctx, "")
	if err != nil {
		return engine.Answer{}, err
	}
	var letters []int64
	for _, b := range []byte(r.Items[0].Text) {
		letters = append(letters, int64(b))
	}
	in := engine.Tensors{"x": engine.NewTensor([]int64{1, int64(len(letters))}, letters)}
	out, err := engine.RunJoined(ctx, session, in, engine.Join{Pad: map[string]int64{"x": '_'}, Budget: 64})
	if err != nil {
		return engine.Answer{}, err
	}
	values, err := engine.Values[int64](out["y"])
	if err != nil {
		return engine.Answer{}, err
	}
	var text []byte
	for _, v := range values {
		text = append(text, byte(v))
	}
	return engine.Answer{Outputs: []engine.Output{{Label: string(text)}}}, nil
}

// A held model says when a run of it has begun, with the rows it has, and goes
// on when it is told to. A text with an X is too much for it.
type held struct {
	begun chan int64
	on    chan struct{}
	runs  atomic.Int64
}

func (s *held) op(ctx context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
	s.runs.Add(1)
	values, err := engine.Values[int64](in[0])
	if err != nil {
		return nil, err
	}
	select {
	case s.begun <- in[0].Shape[0]:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-s.on:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if slices.Contains(values, 'X') {
		return nil, engine.Errorf(engine.ErrOutOfMemory, "an X is too much")
	}
	return []*engine.Tensor{engine.NewTensor(in[0].Shape, slices.Clone(values))}, nil
}

// joinedWorld is an engine of one core with a slow model.
func joinedWorld(t *testing.T) (*world, *held) {
	s := &held{begun: make(chan int64), on: make(chan struct{})}
	w := newWorld(t, &enginetest.Fake{Ops: map[string]enginetest.Op{"Slow": s.op}}, engine.Options{Concurrency: 1},
		func(r *engine.Registry) { r.RegisterTask(spelled{}) })
	w.add(t, "slow", om.Model{Graph: om.Graph{
		Inputs:  []om.Value{om.Symbols("x", om.Int64, "rows", "length")},
		Outputs: []om.Value{om.Symbols("y", om.Int64, "rows", "length")},
		Nodes:   []om.Node{{Op: "Slow", Inputs: []string{"x"}, Outputs: []string{"y"}}},
	}})
	return w, s
}

// ask has the model read a text, in the background.
func (w *world) ask(ctx context.Context, all *sync.WaitGroup, text string, got func(string, error)) {
	all.Go(func() {
		a, err := w.Infer(ctx, engine.InferRequest{Model: "slow", Task: "spelled", Inputs: []string{text}}, quiet)
		if err != nil {
			got("", err)
			return
		}
		got(a.Outputs[0].Label, nil)
	})
}

// queued waits until so many runs wait for their turn.
func (w *world) queued(t *testing.T, n int64) {
	t.Helper()
	for w.Stats().Queued != n {
		if t.Context().Err() != nil {
			t.Fatal("they never queued")
		}
		runtime.Gosched()
	}
}

func TestInfer_joined(t *testing.T) {
	w, s := joinedWorld(t)
	var all sync.WaitGroup
	want := func(text string) func(string, error) {
		return func(got string, err error) {
			if err != nil || len(got) < len(text) || got[:len(text)] != text || got[len(text):] != "___"[:len(got)-len(text)] {
				t.Errorf("%q gave %q, %v", text, got, err)
			}
		}
	}
	w.ask(t.Context(), &all, "first", want("first"))
	if n := <-s.begun; n != 1 {
		t.Errorf("who comes first runs with %d rows", n)
	}
	for i := range 9 {
		text := fmt.Sprintf("%0*d", 5+i%4, i)
		w.ask(t.Context(), &all, text, want(text))
	}
	w.ask(t.Context(), &all, "this one is long", want("this one is long"))
	w.queued(t, 10)
	s.on <- struct{}{}
	sizes := []int64{<-s.begun}
	s.on <- struct{}{}
	for len(sizes) < 3 {
		sizes = append(sizes, <-s.begun)
		s.on <- struct{}{}
	}
	all.Wait()
	slices.Sort(sizes)
	if sizes[0] != 1 || sizes[1] < 1 || sizes[0]+sizes[1]+sizes[2] != 10 || s.runs.Load() != 4 {
		t.Errorf("the others ran with %v rows, %d runs", sizes, s.runs.Load())
	}
}

// What one caller's input does wrong is not the others' loss.
func TestInfer_joinedWithOneWrong(t *testing.T) {
	w, s := joinedWorld(t)
	var all sync.WaitGroup
	w.ask(t.Context(), &all, "first", func(string, error) {})
	<-s.begun
	for _, text := range []string{"good", "aXb", "fine"} {
		w.ask(t.Context(), &all, text, func(got string, err error) {
			if bad := text == "aXb"; bad != errors.Is(err, engine.ErrOutOfMemory) || !bad && got != text {
				t.Errorf("%s gave %q, %v", text, got, err)
			}
		})
	}
	w.queued(t, 3)
	s.on <- struct{}{}
	for i := range 4 { // together, then each alone
		if n := <-s.begun; (n == 3) != (i == 0) {
			t.Errorf("run %d has %d rows", i, n)
		}
		s.on <- struct{}{}
	}
	all.Wait()
}

// Who goes leaves the others their run; when all have gone it ends.
func TestInfer_joinedAndCancelled(t *testing.T) {
	w, s := joinedWorld(t)
	var all, gone sync.WaitGroup
	w.ask(t.Context(), &all, "first", func(string, error) {})
	<-s.begun
	cancelled := func(got string, err error) {
		if !errors.Is(err, engine.ErrCancelled) {
			t.Errorf("%q, %v", got, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for _, text := range []string{"gone", "left"} {
		w.ask(ctx, &gone, text, cancelled)
	}
	w.ask(t.Context(), &all, "stays", func(got string, err error) {
		if got != "stays" {
			t.Errorf("%q, %v", got, err)
		}
	})
	w.queued(t, 3)
	s.on <- struct{}{}
	if n := <-s.begun; n != 3 {
		t.Errorf("a run of %d rows", n)
	}
	cancel()
	gone.Wait()
	s.on <- struct{}{}
	all.Wait()

	ctx, cancel = context.WithCancel(t.Context())
	w.ask(ctx, &all, "alone", cancelled)
	<-s.begun
	cancel()
	all.Wait()
	for w.Stats().Running != 0 { // soon the cores are free
		runtime.Gosched()
	}
}
