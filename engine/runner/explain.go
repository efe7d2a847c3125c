package runner

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// memoryWords are what C++, ONNX Runtime, glibc and Go print when they die for
// lack of memory.
var memoryWords = []string{
	"std::bad_alloc", "pthread_create failed", "BFCArena", "Failed to allocate memory",
	"runtime: out of memory", "cannot allocate memory", "Cannot allocate memory", "Resource temporarily unavailable",
}

// explain turns the loss of the child, if that is what err is, into how it
// ended. Other errors stay as they are.
func (c *child) explain(err error) error {
	if !errors.Is(err, engine.ErrRunnerCrashed) {
		return err
	}
	select {
	case <-c.exited:
	case <-time.After(exitGrace):
		c.kill()
		<-c.exited
	}
	e := c.death()
	e.Err = err
	if killed(c.state) {
		e.Err = fmt.Errorf("%w: %w", engine.ErrKilled, err)
	}
	c.p.log.Warn("runner lost", "pid", c.pid(), "state", c.state, "stderr", c.stderr.String())
	return e
}

// death says how a process that has ended did.
func (c *child) death() *engine.Error {
	switch {
	case !killed(c.state) && ranOutOfMemory(c.stderr.String()):
		return outOfMemory("the model's process ran out of memory")
	case killed(c.state) && oomKills() > c.ooms:
		return outOfMemory("the system ran out of memory and killed the model's process")
	}
	e := engine.Errorf(engine.ErrRunnerCrashed, "the process that ran the model died: %s", c.cause())
	e.Retryable = true
	return e.WithHint("try again: the next call uses a new process. If it dies again, the model or its runtime is at fault")
}

// goSignal is how a Go program reports a signal that its C code got, before it
// exits with status 2.
var goSignal = regexp.MustCompile(`(?m)^(SIG[A-Z]+: [a-z ]+)`)

// cause says what the process died of.
func (c *child) cause() string {
	if found := goSignal.FindStringSubmatch(c.stderr.String()); found != nil {
		return strings.TrimSpace(found[1])
	}
	return c.state.String()
}

func ranOutOfMemory(printed string) bool {
	return slices.ContainsFunc(memoryWords, func(w string) bool { return strings.Contains(printed, w) })
}

func outOfMemory(what string) *engine.Error {
	return engine.Errorf(engine.ErrOutOfMemory, "%s", what).
		WithHint("use a smaller batch, shorter inputs or a smaller model, or raise the memory limit")
}
