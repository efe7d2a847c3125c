package runner

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

// A child is one runner process.
type child struct {
	p      *Provider
	cmd    *exec.Cmd
	client *wire.Client
	memory []byte // shared with the process; nil where that can't be
	stderr *tail
	ooms   int64         // kills for lack of memory that the system had seen when it started
	exited chan struct{} // closed when the process is gone and its stderr read
	wait   sync.WaitGroup

	state *os.ProcessState // set before exited is closed

	users int                // sessions that are in it, or about to be; guarded by p.mu
	held  map[*session]int64 // bytes that each was seen to take; guarded by p.mu
}

// exitGrace is how long a child may take to exit once its connection is closed.
const exitGrace = time.Second

// spawn starts a child and greets it.
func (p *Provider) spawn(ctx context.Context) (*child, error) {
	cmd, err := p.command()
	if err != nil {
		return nil, err
	}
	c := &child{p: p, cmd: cmd, stderr: new(tail), ooms: oomKills(), exited: make(chan struct{}), held: map[*session]int64{}}
	near, err := c.connect()
	if err != nil {
		return nil, err
	}
	if err := c.greet(ctx, near); err != nil {
		return nil, err
	}
	if err := p.add(c); err != nil {
		c.stop()
		return nil, err
	}
	p.log.Debug("runner started", "pid", c.pid())
	return c, nil
}

// connect starts the child with the far ends of what connects us.
func (c *child) connect() (io.ReadWriteCloser, error) {
	near, far, err := newStream()
	if err != nil {
		return nil, engine.Errorf(engine.ErrInternal, "make a connection: %w", err)
	}
	defer func() {
		for _, f := range far {
			f.Close() // the child has its own copy
		}
	}()
	memory, file, err := newMemory()
	if err != nil {
		near.Close() // nobody is at the other end
		return nil, engine.Errorf(engine.ErrInternal, "make memory to share: %w", err)
	}
	if c.memory = memory; file != nil {
		far = append(far, file)
	}
	if err := c.start(far); err != nil {
		near.Close() // nobody is at the other end
		c.free()
		return nil, c.p.nativeMissing(err)
	}
	return near, nil
}

// free gives the shared memory back. Nothing uses it any more.
func (c *child) free() {
	if err := freeMemory(c.memory); err != nil {
		c.p.log.Error("free the memory shared with a runner", "error", err)
	}
}

// greet waits until the child has loaded the runtime.
func (c *child) greet(ctx context.Context, near io.ReadWriteCloser) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.p.ctx, cancel)() //nolint:contextcheck // Close ends a greeting too
	client, err := wire.NewClient(ctx, near, wire.ClientOptions{CancelGrace: c.p.options.CancelGrace, Shared: c.memory})
	if err != nil {
		err = c.explain(err)
		c.kill()
		c.wait.Wait()
		c.free()
		if c.p.ctx.Err() != nil {
			return errClosed
		}
		return c.p.runtimeMissing(err)
	}
	c.client = client
	c.wait.Go(func() { // a child whose connection is broken off is of no use
		<-c.client.Done()
		c.reap()
		c.client.Close() // it always works; nobody uses the memory after it
		c.free()
	})
	return nil
}

// start starts the process on a thread that lives as long as it does: to
// Linux, the thread is the parent whose death kills it.
func (c *child) start(far []*os.File) error {
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		return err
	}
	c.cmd.ExtraFiles = far // become descriptors 3 and on
	prepare(c.cmd)
	started := make(chan error)
	c.wait.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		c.await(stderr)
	})
	if err := <-started; err != nil {
		return err
	}
	preferAsVictim(c.pid())
	return nil
}

// await keeps what the process prints, and notes how it ended.
func (c *child) await(stderr io.Reader) {
	io.Copy(c.stderr, stderr) //nolint:errcheck // what was read counts
	err := c.cmd.Wait()
	c.state = c.cmd.ProcessState
	close(c.exited)
	c.p.remove(c)
	c.p.log.Debug("runner ended", "pid", c.pid(), "state", c.state, "error", err, "stderr", lastLine(c.stderr.String()))
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	case <-c.client.Done():
		return false
	default:
		return true
	}
}

// kill ends the process at once. It does not wait.
func (c *child) kill() { c.cmd.Process.Kill() } //nolint:errcheck // it may be gone already

// reap kills the process if it does not exit by itself in time.
func (c *child) reap() {
	timer := time.NewTimer(exitGrace)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
		c.kill()
		<-c.exited
	}
}

// stop ends the child and waits until everything of it is gone.
func (c *child) stop() {
	c.client.Close() // it always works
	c.wait.Wait()
}
