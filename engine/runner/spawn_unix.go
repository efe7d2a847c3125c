//go:build unix

package runner

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A stream is a connection over two pipes. A socket pair would have each side
// woken whenever the other has read, which costs a run a few tens of
// microseconds.
type stream struct{ r, w *os.File }

func (s stream) Write(b []byte) (int, error) { return s.w.Write(b) }
func (s stream) Close() error                { return errors.Join(s.r.Close(), s.w.Close()) }

// Read tries again when Expect has ended its wait: there is something to read.
func (s stream) Read(b []byte) (int, error) {
	for {
		n, err := s.r.Read(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := s.r.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
	}
}

// newStream makes the connection to a child: our end, and what the child gets
// as its descriptors 3, to read, and 4, to write.
func newStream() (near stream, far []*os.File, err error) {
	in, theirs, err := os.Pipe()
	if err != nil {
		return stream{}, nil, err
	}
	ours, out, err := os.Pipe()
	if err != nil {
		in.Close()     // err says more
		theirs.Close() // err says more
		return stream{}, nil, err
	}
	return stream{ours, theirs}, []*os.File{in, out}, nil
}

// killed reports whether a process was ended by SIGKILL.
func killed(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// prepare gives the child a process group of its own, so that Ctrl-C in a
// terminal is for us to handle.
func prepare(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
}
