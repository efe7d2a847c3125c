package wire

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// ServeOptions say what a server allows. The zero value serves.
type ServeOptions struct {
	// BeforeOpen is called before the provider opens a model; an error
	// refuses it. This is where a runner gives up its rights.
	BeforeOpen func(OpenRequest) error

	// Annotate completes what a session says about itself with what only
	// the process it runs in knows.
	Annotate func(*engine.SessionInfo)

	// Shared is memory that the client has too, as [ClientOptions.Shared].
	Shared []byte

	MaxPayload  int64 // bytes of tensors in a frame; 0 means DefaultMaxPayload
	MaxRuns     int   // runs in work at once; 0 means 64
	MaxSessions int   // sessions open at once; 0 means 64
}

func (o ServeOptions) withDefaults() ServeOptions {
	if o.MaxPayload == 0 {
		o.MaxPayload = DefaultMaxPayload
	}
	if o.MaxRuns == 0 {
		o.MaxRuns = 64
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = 64
	}
	return o
}

// Serve answers the requests that come over conn with provider's sessions,
// until the stream ends (nil), a frame breaks the protocol, or ctx is done. It
// then cancels what is in work, waits for it, and closes conn and all sessions.
func Serve(ctx context.Context, provider engine.ExecutionProvider, conn io.ReadWriteCloser, o ServeOptions) error {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(ctx)
	s := &server{
		provider: provider, options: o,
		r: newReader(conn, o.MaxPayload, o.Shared), w: newWriter(conn),
		over: make(chan error, 1), lead: make(chan struct{}), ended: make(chan struct{}), work: map[uint64]context.CancelFunc{}, sessions: map[uint64]*served{},
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // it only ends the read
	err := s.hello(ctx)
	if err != nil {
		err = s.end(ctx, err)
	} else {
		s.wait.Go(func() { s.read(ctx) })
		err = <-s.over
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	cancel()
	stop()
	conn.Close() // nothing more is sent
	s.wait.Wait()
	s.closeAll()
	return err
}

// A server is one connection of [Serve].
type server struct {
	provider engine.ExecutionProvider
	options  ServeOptions
	r        *reader
	w        *writer
	buffers  freeList
	wait     sync.WaitGroup // the goroutines that read and answer
	over     chan error     // gets why the reading ended
	lead     chan struct{}  // passes the reading on
	ended    chan struct{}  // closed when the reading ends

	mu       sync.Mutex                    // guards what follows
	work     map[uint64]context.CancelFunc // requests not answered yet
	runs     int                           // how many of them are runs
	sessions map[uint64]*served
	opening  int    // sessions that count before they are in sessions
	last     uint64 // number of the newest session
}

// A served session may not be closed while it runs.
type served struct {
	engine.Session
	budget int64           // bytes that the inputs of its runs may take together; 0 means no limit
	held   int64           // bytes that they take; guarded by the server's mu
	mu     sync.RWMutex    // held for reading by runs
	ctx    context.Context //nolint:containedctx // ends when the session is closed, whatever the requests' contexts
	cancel context.CancelFunc
}

// read reads requests until the connection ends. To answer one it has another
// goroutine read on and does the work itself: handing over the reading costs a
// run no time, while handing over the run would cost it a wake-up. It then
// waits for its turn to read: a goroutine that has worked has the stack for it.
func (s *server) read(ctx context.Context) {
	for {
		work, err := s.next(ctx)
		if err != nil {
			close(s.ended)
			s.over <- s.end(ctx, err)
			return
		}
		if work == nil {
			continue
		}
		select {
		case s.lead <- struct{}{}:
		default:
			s.wait.Go(func() { s.read(ctx) })
		}
		work()
		select {
		case <-s.lead:
		case <-s.ended:
			return
		}
	}
}

// next reads one frame and returns what is to be done about it, if anything.
func (s *server) next(ctx context.Context) (work func(), err error) {
	h, n, err := s.r.header()
	if err != nil {
		return nil, err
	}
	return s.dispatch(ctx, h, n)
}

// lastWord is how long the other side may take to read why it is left.
const lastWord = time.Second

// end tells the other side why the connection ends, unless it left itself.
func (s *server) end(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	if errors.Is(err, errProtocol) {
		ctx, cancel := context.WithTimeout(ctx, lastWord)
		defer cancel()
		s.reply(ctx, &header{Op: opError, Error: newErrorHeader(err)}, nil, block{})
	}
	return err
}

// hello is the first exchange. What keeps the provider from having devices is
// the answer to it.
func (s *server) hello(ctx context.Context) error {
	h, n, err := s.r.header()
	if err != nil {
		return err
	}
	if h.Op != opHello || n != 0 {
		return protocolError("the first frame is %q, not a hello", h.Op)
	}
	if h.Version != Version {
		s.fail(ctx, h.ID, versionError(h.Version))
		return io.EOF
	}
	devices, err := s.provider.Devices(ctx)
	if err != nil {
		s.fail(ctx, h.ID, err)
		return nil
	}
	s.reply(ctx, &header{ID: h.ID, Op: opResult, Version: Version, Hello: &helloHeader{
		Provider: s.provider.Name(), Devices: deviceHeaders(devices),
		MaxPayload: s.options.MaxPayload, MaxRuns: s.options.MaxRuns,
	}}, nil, block{})
	return nil
}

func versionError(other int) error {
	return engine.Errorf(engine.ErrRestartNeeded, "the other side speaks version %d of the session protocol, this one %d", other, Version).
		WithHint("both programs must be of the same release: update them together and restart")
}

// dispatch returns the work that h asks for. An error ends the connection.
func (s *server) dispatch(ctx context.Context, h *header, n int64) (work func(), err error) {
	if n != 0 && h.Op != opRun {
		return nil, protocolError("%s has a payload", h.Op)
	}
	switch h.Op {
	case opOpen:
		if h.Open == nil {
			return nil, protocolError("open names no model")
		}
		return s.accept(ctx, h, response{answer: s.open})
	case opDescribe:
		return s.accept(ctx, h, response{answer: s.describe})
	case opForget:
		return s.accept(ctx, h, response{answer: s.forget})
	case opClose:
		return s.accept(ctx, h, response{answer: s.close})
	case opRun:
		return s.acceptRun(ctx, h, n)
	case opCancel:
		s.cancel(h.ID)
		return nil, nil
	}
	return nil, protocolError("%q is no request", h.Op)
}

// A response is how to answer a request.
type response struct {
	answer func(ctx context.Context, h *header) (*header, engine.Tensors, error)

	// after is called once the answer is sent, if it is no error: where a
	// run was broken off something may still be reading its input.
	after func()
}

// accept notes that h is in work, and returns that work.
func (s *server) accept(ctx context.Context, h *header, r response) (work func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, dup := s.work[h.ID]; dup || h.ID == 0 {
		return nil, protocolError("id %d is in use", h.ID)
	}
	ctx, cancel := context.WithCancel(ctx)
	s.work[h.ID] = cancel
	return func() {
		defer cancel()
		s.answer(ctx, h, r)
	}, nil
}

// acceptRun reads the tensors of a run and accepts it, if there is room.
func (s *server) acceptRun(ctx context.Context, h *header, n int64) (work func(), err error) {
	session, err := s.enter(h.Session, n)
	if err != nil {
		if err := s.r.discard(h, n); err != nil {
			return nil, err
		}
		s.fail(ctx, h.ID, err)
		return nil, nil
	}
	payload, done, err := s.payload(h, n)
	if err != nil {
		return nil, err
	}
	in, err := tensorsOf(h.Tensors, payload)
	if err != nil {
		return nil, err
	}
	return s.accept(ctx, h, response{
		answer: func(ctx context.Context, h *header) (*header, engine.Tensors, error) {
			defer s.leave(session, n)
			return session.run(ctx, h, in)
		},
		after: done,
	})
}

// payload returns the payload of a run, and what to call when it is not used
// any more.
func (s *server) payload(h *header, n int64) ([]byte, func(), error) {
	if h.Shared != nil {
		return s.r.sharedPayload(h), func() {}, nil
	}
	b := s.buffers.get(n)
	return b, func() { s.buffers.put(b) }, s.r.payload(b)
}

// enter counts a run and its n bytes in, unless there are too many.
func (s *server) enter(number uint64, n int64) (*served, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session := s.sessions[number]
	switch {
	case session == nil:
		return nil, errClosed
	case s.runs == s.options.MaxRuns:
		return nil, engine.Errorf(engine.ErrTooLarge, "more than %d runs at once", s.options.MaxRuns)
	case session.budget > 0 && n > session.budget-session.held:
		return nil, engine.Errorf(engine.ErrOutOfMemory, "inputs of %d bytes do not fit the memory that the session may use", n).
			WithHint("use a smaller batch or shorter inputs, or raise the memory limit")
	}
	s.runs++
	session.held += n
	return session, nil
}

// leave undoes enter, also for a session that was closed since.
func (s *server) leave(session *served, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs--
	session.held -= n
}

// answer sends the one answer to h and forgets it.
func (s *server) answer(ctx context.Context, h *header, r response) {
	result, out, err := r.answer(withReporter(ctx, s.reporter(ctx, h.ID)), h)
	s.mu.Lock()
	delete(s.work, h.ID)
	s.mu.Unlock()
	ctx = context.WithoutCancel(ctx) // a cancelled request is answered too
	if err != nil {
		s.fail(ctx, h.ID, err)
		return
	}
	result.ID, result.Op = h.ID, opResult
	s.reply(ctx, result, out, h.Shared.room())
	if r.after != nil {
		r.after()
	}
}

func (s *server) cancel(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.work[id]; cancel != nil {
		cancel()
	}
}

func (s *server) fail(ctx context.Context, id uint64, err error) {
	s.reply(ctx, &header{ID: id, Op: opError, Error: newErrorHeader(err)}, nil, block{})
}

// reply writes a frame, with its payload in room if it is large and fits. What
// can't be written for its size is answered with an error instead; where the
// stream is broken, the read loop ends too.
func (s *server) reply(ctx context.Context, h *header, out engine.Tensors, room block) {
	f, err := newFrame(h, out, s.options.MaxPayload)
	if err == nil {
		if f.n >= sharedMin && f.n <= room.size {
			f.share(s.options.Shared, block{room.at, f.n})
		}
		err = s.w.write(ctx, f)
	}
	if _, ok := errors.AsType[*engine.Error](err); ok && h.Op == opResult {
		s.fail(ctx, h.ID, err)
	}
}
