package command

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
)

// pollable returns a pipe opened anew, so that reading it can wait in the
// scheduler's poller: a read that blocks holds a processor of the scheduler until
// that is taken from it, which moves the call just read to another one. The open
// file is this process's own, so nobody else's reads change. What is no pipe, or
// can't be opened, is returned as it is.
func pollable(in io.Reader) io.Reader {
	f, ok := in.(*os.File)
	if !ok || runtime.GOOS != "linux" {
		return in
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return in
	}
	again, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return in
	}
	return again
}
