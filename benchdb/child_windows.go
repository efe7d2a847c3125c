package benchdb

import (
	"os"
	"os/exec"
)

// giveResult makes w the worker's standard output: Windows has no descriptors
// to inherit by number.
func giveResult(cmd *exec.Cmd, w *os.File) { cmd.Stdout = w }

func own(*exec.Cmd) {}

// ResultFile is where a worker writes its answer.
func ResultFile() *os.File { return os.Stdout }

// crashed reports whether a process died of itself. What ends one from outside
// gives it the code 1.
func crashed(p *os.ProcessState) bool {
	return p != nil && p.ExitCode() > 1 && p.ExitCode() != exitTimeout
}
