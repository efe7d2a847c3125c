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
