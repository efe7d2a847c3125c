package runner

import (
	"io"
	"os"
	"os/exec"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// newStream fails: a runner's connection is not inherited on Windows yet.
func newStream() (io.ReadWriteCloser, []*os.File, error) {
	return nil, nil, engine.Errorf(engine.ErrUnsupported, "runners are not supported on Windows yet")
}

func killed(*os.ProcessState) bool { return false }

func prepare(*exec.Cmd) {}
