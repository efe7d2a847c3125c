package wire_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	om "github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest/onnxmodel"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

var x = engine.Tensors{"x": engine.NewTensor([]int64{1}, []float32{1})}

// op is a model y = op(x).
func op(name string) om.Model {
	m := enginetest.Identity(om.Float, 1)
	m.Graph.Nodes[0].Op = name
	return m
}

func open(t testing.TB, c *wire.Client, m om.Model) engine.Session {
	t.Helper()
	s, err := c.NewSession(t.Context(), enginetest.WriteModel(t, m), enginetest.ModelFile, engine.Plan{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantCode(t testing.TB, err error, want engine.Code) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got error %v; want code %s", err, want)
	}
}

// rawServer answers the first frame with text as a header.
func rawServer(t *testing.T, text string) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		defer far.Close()                  // the pipe can't fail
		io.ReadFull(far, make([]byte, 64)) //nolint:errcheck // a hello is one block
		out := binary.LittleEndian.AppendUint32(nil, uint32(len(text)))
		out = append(binary.LittleEndian.AppendUint64(out, 0), text...)
		far.Write(append(out, make([]byte, -len(out)&63)...)) //nolint:errcheck // the client may have left
		io.Copy(io.Discard, far)                              //nolint:errcheck // until the client leaves
	}()
	return near
}

// A run takes the id of its request along, and brings back what it took there.
func TestSession_requestAndTime(t *testing.T) {
	asked := make(chan string, 1)
	fake := &enginetest.Fake{Ops: map[string]enginetest.Op{"Slow": func(ctx context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
		asked <- engine.RequestID(ctx)
		<-time.After(2 * time.Millisecond)
		return in, nil
	}}}
	s := open(t, dial(t, fake, wire.ServeOptions{}, wire.ClientOptions{}), op("Slow"))
	defer s.Close() // not what is tested
	ctx, took := engine.WithCompute(engine.WithRequestID(t.Context(), "7/abc"))
	if _, err := s.Run(ctx, x); err != nil {
		t.Fatal(err)
	}
	if id := <-asked; id != "7/abc" {
		t.Errorf("the request is %q there", id)
	}
	if d := time.Duration(took.Load()); d < 2*time.Millisecond {
		t.Errorf("it took %s there", d)
	}
}

func TestClient_otherVersion(t *testing.T) {
	_, err := wire.NewClient(t.Context(), rawServer(t, `{"id":1,"op":"result","version":999,"hello":{"max_payload":1,"max_runs":1}}`), wire.ClientOptions{})
	wantCode(t, err, engine.ErrRestartNeeded)
}

func TestServe_otherVersion(t *testing.T) {
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- wire.Serve(t.Context(), new(enginetest.Fake), far, wire.ServeOptions{}) }()
	hello := `{"id":1,"op":"hello","version":999}`
	out := binary.LittleEndian.AppendUint32(nil, uint32(len(hello)))
	out = append(binary.LittleEndian.AppendUint64(out, 0), hello...)
	if _, err := near.Write(append(out, make([]byte, -len(out)&63)...)); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(near)
	if err != nil || !strings.Contains(string(answer), `"restart_needed"`) {
		t.Errorf("answer is %q, %v; want restart_needed", answer, err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestClient_helloFails(t *testing.T) {
	_, err := wire.NewClient(t.Context(), rawServer(t, `{"id":1,"op":"error","error":{"code":"runtime_missing","message":"m","hint":"h"}}`), wire.ClientOptions{})
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != engine.ErrRuntimeMissing || e.Hint != "h" {
		t.Errorf("got %#v", err)
	}
	_, err = wire.NewClient(t.Context(), rawServer(t, `[]`), wire.ClientOptions{})
	wantCode(t, err, engine.ErrRunnerCrashed)
}

func TestServe_beforeOpen(t *testing.T) {
	var got wire.OpenRequest
	c := dial(t, new(enginetest.Fake), wire.ServeOptions{BeforeOpen: func(o wire.OpenRequest) error {
		got = o
		return engine.Errorf(engine.ErrNotAllowed, "no").WithHint("ask")
	}}, wire.ClientOptions{})
	m := &engine.Model{Root: "bafy", Name: "n", Dir: "/d"}
	_, err := c.NewSession(t.Context(), m, "f.onnx", engine.Plan{Precision: "int8", BatchSize: 2, Threads: 3, Memory: 4})
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != engine.ErrNotAllowed || e.Hint != "ask" {
		t.Errorf("got %#v", err)
	}
	if got.Model.Root != "bafy" || got.Model.Dir != "/d" || got.File != "f.onnx" || got.Plan.Precision != "int8" || got.Plan.Memory != 4 {
		t.Errorf("the request arrived as %+v", got)
	}
}

func TestServe_annotate(t *testing.T) {
	c := dial(t, new(enginetest.Fake), wire.ServeOptions{Annotate: func(i *engine.SessionInfo) { i.Sandbox = "seccomp" }}, wire.ClientOptions{})
	info, err := open(t, c, enginetest.Add()).(engine.Describer).Describe(t.Context())
	if err != nil || info.Sandbox != "seccomp" {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestServe_limits(t *testing.T) {
	c := dial(t, new(enginetest.Fake), wire.ServeOptions{MaxSessions: 1, MaxPayload: 1000}, wire.ClientOptions{})
	s := open(t, c, enginetest.Identity(om.Float, 1000))
	_, err := c.NewSession(t.Context(), enginetest.WriteModel(t, enginetest.Add()), enginetest.ModelFile, engine.Plan{})
	wantCode(t, err, engine.ErrTooLarge)
	_, err = s.Run(t.Context(), engine.Tensors{"x": engine.NewTensor([]int64{1000}, make([]float32, 1000))})
	wantCode(t, err, engine.ErrTooLarge)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	_, err = s.Run(t.Context(), x)
	wantCode(t, err, engine.ErrInvalidArgument)
	open(t, c, enginetest.Add())
}

// Inputs that would take more than their half of a session's memory are refused,
// and the session stays.
func TestServe_memory(t *testing.T) {
	c := dial(t, new(enginetest.Fake), wire.ServeOptions{}, wire.ClientOptions{})
	m := enginetest.WriteModel(t, enginetest.Add())
	s, err := c.NewSession(t.Context(), m, enginetest.ModelFile, engine.Plan{Memory: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for batch, fits := range map[int64]bool{1: true, 20: true, 100: false} { // of 24 bytes and padding
		in := engine.NewTensor([]int64{batch, 3}, make([]float32, batch*3))
		_, err := s.Run(t.Context(), engine.Tensors{"left": in, "right": in})
		if fits && err != nil {
			t.Errorf("batch %d: %v", batch, err)
		} else if !fits {
			wantCode(t, err, engine.ErrOutOfMemory)
		}
	}
}

// An output over the limit is an error, and the connection stays.
func TestServe_outputTooLarge(t *testing.T) {
	fake := &enginetest.Fake{Ops: map[string]enginetest.Op{
		"Grow": func(context.Context, []*engine.Tensor) ([]*engine.Tensor, error) {
			return []*engine.Tensor{engine.NewTensor([]int64{1000}, make([]float32, 1000))}, nil
		},
	}}
	s := open(t, dial(t, fake, wire.ServeOptions{MaxPayload: 1000}, wire.ClientOptions{}), op("Grow"))
	for range 2 {
		_, err := s.Run(t.Context(), x)
		wantCode(t, err, engine.ErrTooLarge)
	}
}

// More runs than the server takes at once wait for their turn.
func TestClient_waitsForRoom(t *testing.T) {
	gate := make(chan struct{})
	fake := &enginetest.Fake{Ops: map[string]enginetest.Op{
		"Gate": func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			<-gate
			return in, nil
		},
	}}
	s := open(t, dial(t, fake, wire.ServeOptions{MaxRuns: 2}, wire.ClientOptions{}), op("Gate"))
	done := make(chan error)
	for range 5 {
		go func() {
			_, err := s.Run(t.Context(), x)
			done <- err
		}()
	}
	for range 5 {
		gate <- struct{}{}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestReport(t *testing.T) {
	reported := make(chan engine.Progress, 1)
	fake := &enginetest.Fake{Ops: map[string]enginetest.Op{
		"Report": func(ctx context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
			wire.Report(ctx, engine.Progress{Done: 1, Total: 2, Unit: "steps"})
			return in, nil
		},
	}}
	wire.Report(t.Context(), engine.Progress{}) // does nothing outside of a server
	c := dial(t, fake, wire.ServeOptions{}, wire.ClientOptions{Progress: func(p engine.Progress) { reported <- p }})
	if _, err := open(t, c, op("Report")).Run(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if p := <-reported; p.Done != 1 || p.Total != 2 || p.Unit != "steps" {
		t.Errorf("got %+v", p)
	}
}

// A server that does not answer a cancelled run loses its connection after the
// grace; the caller does not wait for it.
func TestClient_cancelGrace(t *testing.T) {
	const grace = 2 * time.Second
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		fake := &enginetest.Fake{Ops: map[string]enginetest.Op{
			"Hang": func(context.Context, []*engine.Tensor) ([]*engine.Tensor, error) {
				<-hung
				return nil, errors.New("too late")
			},
		}}
		c := dial(t, fake, wire.ServeOptions{}, wire.ClientOptions{CancelGrace: grace})
		t.Cleanup(func() { close(hung) }) // before the server is waited for
		s := open(t, c, op("Hang"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Run(ctx, x)
		wantCode(t, err, engine.ErrDeadline)
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("the caller waited %v", waited)
		}
		<-c.Done()
		if waited := time.Since(start); waited != time.Second+grace {
			t.Errorf("the connection ended after %v; want %v", waited, time.Second+grace)
		}
		_, err = s.Run(t.Context(), x)
		wantCode(t, err, engine.ErrRunnerCrashed)
	})
}

// A session whose opening was given up is closed again by itself.
func TestClient_givenUpOpen(t *testing.T) {
	opening, goOn := make(chan struct{}), make(chan struct{})
	so := wire.ServeOptions{MaxSessions: 1, BeforeOpen: func(o wire.OpenRequest) error {
		if o.Model.Name == "slow" {
			close(opening)
			<-goOn
		}
		return nil
	}}
	c := dial(t, new(enginetest.Fake), so, wire.ClientOptions{})
	m := enginetest.WriteModel(t, enginetest.Add())
	m.Name = "slow"
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-opening
		cancel()
	}()
	_, err := c.NewSession(ctx, m, enginetest.ModelFile, engine.Plan{})
	wantCode(t, err, engine.ErrCancelled)
	close(goOn)
	m.Name = "quick"
	for { // the one place there is becomes free
		s, err := c.NewSession(t.Context(), m, enginetest.ModelFile, engine.Plan{})
		if err == nil {
			s.Close() // not what is tested
			return
		}
		wantCode(t, err, engine.ErrTooLarge)
		if t.Failed() {
			return
		}
	}
}

func TestServe_context(t *testing.T) {
	near, far := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- wire.Serve(ctx, new(enginetest.Fake), far, wire.ServeOptions{}) }()
	c, err := wire.NewClient(t.Context(), near, wire.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() // it always works
	s := open(t, c, enginetest.Endless())
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), x)
		done <- err
	}()
	cancel()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("Serve: %v", err)
	}
	if err := <-done; !errors.Is(err, engine.ErrRunnerCrashed) && !errors.Is(err, engine.ErrCancelled) {
		t.Errorf("Run: %v", err) // whichever of the end and the answer came first
	}
}

// A meter counts what is written to a stream.
type meter struct {
	net.Conn
	n atomic.Int64
}

func (m *meter) Write(b []byte) (int, error) {
	m.n.Add(int64(len(b)))
	return m.Conn.Write(b)
}

// Large tensors go through shared memory, both ways, and where it is full
// through the stream, from several runs at once.
func TestClient_shared(t *testing.T) {
	const elements, sessions, runs = 8 << 10, 8, 20
	memory := make([]byte, 5*4*elements) // less than all runs together need
	near, far := net.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- wire.Serve(context.WithoutCancel(t.Context()), new(enginetest.Fake), far, wire.ServeOptions{Shared: memory})
	}()
	stream := &meter{Conn: near}
	c, err := wire.NewClient(t.Context(), stream, wire.ClientOptions{Shared: memory})
	if err != nil {
		t.Fatal(err)
	}
	var group errgroup.Group
	for i := range sessions {
		s := open(t, c, enginetest.Identity(om.Float, elements))
		data := make([]float32, elements)
		for j := range data {
			data[j] = float32(i + j)
		}
		work := func() error {
			in := engine.NewTensor([]int64{elements}, data)
			for range runs {
				out, err := s.Run(t.Context(), engine.Tensors{"x": in})
				if err != nil {
					return err
				}
				if !bytes.Equal(out["y"].Data, in.Data) {
					return fmt.Errorf("run of session %d gave something else", i)
				}
			}
			return nil
		}
		if i > 0 {
			group.Go(work)
			continue
		}
		if err := work(); err != nil { // alone
			t.Fatal(err)
		}
		if n := stream.n.Load(); n > runs*1024 {
			t.Errorf("%d bytes went through the stream", n)
		}
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	c.Close() // it always works
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// An answer must lie in the memory that is for it: the other side may be a
// child that a hostile model has taken over.
func TestClient_sharedElsewhere(t *testing.T) {
	c, err := wire.NewClient(t.Context(), rawServer(t, `{"id":1,"op":"result","version":2,"shared":{"at":0,"length":0}}`), wire.ClientOptions{Shared: make([]byte, 4096)})
	if err == nil {
		c.Close() // it always works
	}
	wantCode(t, err, engine.ErrRunnerCrashed)
}

// An expecter is a stream that counts how often something was expected.
type expecter struct {
	net.Conn
	n atomic.Int64
}

func (e *expecter) Expect(d time.Duration) {
	if d <= 0 {
		panic("nothing is expected")
	}
	e.n.Add(1)
}

// A run that is alone is expected to take as long as the last of its session,
// and comes if it takes longer.
func TestSession_expected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const quick, slow = 100 * time.Microsecond, time.Second
		takes := []time.Duration{quick, quick, slow, quick, slow, slow}
		fake := &enginetest.Fake{Ops: map[string]enginetest.Op{
			"Sleep": func(_ context.Context, in []*engine.Tensor) ([]*engine.Tensor, error) {
				d := takes[0]
				takes = takes[1:]
				time.Sleep(d)
				return in, nil
			},
		}}
		near, far := net.Pipe()
		go wire.Serve(context.WithoutCancel(t.Context()), fake, far, wire.ServeOptions{}) //nolint:errcheck // it ends with the client
		conn := &expecter{Conn: near}
		c, err := wire.NewClient(t.Context(), conn, wire.ClientOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // it always works
		s := open(t, c, op("Sleep"))
		for i, want := range []int64{0, 1, 2, 2} { // the run before the last of these was overdue
			if _, err := s.Run(t.Context(), x); err != nil {
				t.Fatal(err)
			}
			if n := conn.n.Load(); n != want {
				t.Errorf("%d answers were expected by run %d; want %d", n, i, want)
			}
		}
	})
}

// A write that the other side does not take ends with its context.
func TestClient_otherSideDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := wire.NewClient(ctx, near, wire.ClientOptions{})
		wantCode(t, err, engine.ErrDeadline)
		far.Close() // a pipe's end can't fail
	})
}
