package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// silenceStdout has whatever a library prints go nowhere, even if the parent
// should have left us its stdout, which may be a protocol.
func silenceStdout() error {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close() // descriptor 1 is its copy
	return os.NewSyscallError("dup3", unix.Dup3(int(null.Fd()), 1, 0))
}
