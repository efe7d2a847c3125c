//go:build unix

package benchdb

import (
	"os"
	"os/exec"
	"syscall"
)

// giveResult makes w the worker's descriptor 3.
func giveResult(cmd *exec.Cmd, w *os.File) { cmd.ExtraFiles = []*os.File{w} }

// own puts the worker into a process group of its own: an interrupt from the
// terminal is for this process, which ends the worker in its own time.
func own(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// ResultFile is where a worker writes its answer.
func ResultFile() *os.File { return os.NewFile(3, "result") }

// goPanic is the exit code of a Go program that panics.
const goPanic = 2

// crashed reports whether a process died of itself: it was neither killed from
// outside nor ended by the limits it was given.
func crashed(p *os.ProcessState) bool {
	if p == nil {
		return false
	}
	status, ok := p.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return p.ExitCode() == goPanic
	}
	switch status.Signal() {
	case syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE:
		return true
	}
	return false
}
