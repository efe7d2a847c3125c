package wire

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

var (
	_ engine.Session   = (*session)(nil)
	_ engine.Describer = (*session)(nil)
	_ engine.Keeper    = (*session)(nil)
)

// NewSession asks the provider at the other end to load a model, whose folder
// must mean something there. The session is also an [engine.Describer].
func (c *Client) NewSession(ctx context.Context, m *engine.Model, file string, p engine.Plan) (engine.Session, error) {
	a, err := c.do(ctx, "loading the model", request{h: &header{Op: opOpen, Open: newOpenHeader(m, file, p)}})
	if err != nil {
		return nil, err
	}
	return &session{client: c, number: a.h.Session}, nil
}

// A session is one on the other side.
type session struct {
	client *Client
	number uint64
	room   atomic.Int64 // bytes of the last outputs: the next are likely to be as many
	pace   pace
}

// Run waits while the server has as many runs in work as it allows.
func (s *session) Run(ctx context.Context, in engine.Tensors) (engine.Tensors, error) {
	return s.RunKept(ctx, in, engine.Kept{})
}

// RunKept is Run with values that stay on the other side.
func (s *session) RunKept(ctx context.Context, in engine.Tensors, k engine.Kept) (engine.Tensors, error) {
	h := &header{Op: opRun, Session: s.number, Request: requestID(ctx), Take: k.Take, Keep: k.Keep, Hold: k.Hold, Greedy: k.Greedy}
	near, began := s.pace.next(), time.Now()
	a, err := s.client.do(ctx, "the run", request{h: h, in: in, room: s.room.Load(), near: near})
	if err != nil {
		return nil, err
	}
	took := time.Duration(a.h.TookUS) * time.Microsecond
	s.room.Store(a.n)
	s.pace.ran(took, time.Since(began), near)
	engine.Computed(ctx, took)
	return a.tensors, nil
}

// Forget frees values on the other side.
func (s *session) Forget(ctx context.Context, names ...string) error {
	_, err := s.client.do(ctx, "forgetting values", request{h: &header{Op: opForget, Session: s.number, Names: names}})
	return err
}

// Describe asks what the other side loaded.
func (s *session) Describe(ctx context.Context) (engine.SessionInfo, error) {
	a, err := s.client.do(ctx, "describing the session", request{h: &header{Op: opDescribe, Session: s.number}})
	if err != nil {
		return engine.SessionInfo{}, err
	}
	if a.h.Info == nil {
		return engine.SessionInfo{}, protocolError("the answer to describe is empty")
	}
	return *a.h.Info, nil
}

// Close frees the session on the other side; a connection that has ended has
// done so already.
func (s *session) Close() error {
	select {
	case <-s.client.done:
		return nil
	default:
	}
	ctx := context.Background()
	if grace := s.client.options.CancelGrace; grace > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, grace)
		defer cancel()
	}
	_, err := s.client.do(ctx, "closing the session", request{h: &header{Op: opClose, Session: s.number}})
	return err
}

// maxRequestID is how much of a client's request id is passed on: it is for
// logs.
const maxRequestID = 64

func requestID(ctx context.Context) string {
	id := engine.RequestID(ctx)
	return id[:min(len(id), maxRequestID)]
}
