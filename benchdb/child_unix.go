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
