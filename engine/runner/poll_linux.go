package runner

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/wire"
)

const (
	// maxPoll is how long an answer is polled for at most.
	maxPoll = time.Millisecond

	// pollBurst is how often the system is asked in a row, some tens of
	// microseconds, before other goroutines have their turn.
	pollBurst = 128
)

// polling is set while a goroutine polls: one processor is enough for that.
var polling atomic.Bool

// past is a deadline that ends a read at once.
var past = time.Unix(1, 0)

var _ wire.Expecter = stream{}

// Expect polls for what is due within d. A goroutine that waits in the
// scheduler's poller lets its processor idle, and to wake an idle one takes a
// virtual machine up to a tenth of a millisecond. Where there is one processor,
// the runner needs it.
func (s stream) Expect(d time.Duration) {
	if runtime.NumCPU() < 2 || !polling.CompareAndSwap(false, true) {
		return
	}
	defer polling.Store(false)
	raw, err := s.r.SyscallConn()
	for end := time.Now().Add(min(d, maxPoll)); err == nil && time.Now().Before(end); runtime.Gosched() {
		var ready bool
		if err = raw.Control(func(fd uintptr) { ready = poll(fd) }); ready {
			s.r.SetReadDeadline(past) //nolint:errcheck // if the pipe was closed, its reader knows
			return
		}
	}
}

// poll reports whether a burst of polls found something to read, or the end of
// what there will be. In between it yields: the write of the request tells the
// system that the writer is about to wait, so the runner may be on its processor.
func poll(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for range pollBurst {
		if n, err := unix.Poll(fds, 0); n > 0 || (err != nil && !errors.Is(err, unix.EINTR)) {
			return true // the read says what it is
		}
		unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) //nolint:errcheck // it can't fail
	}
	return false
}
