//go:build cgo && linux

package sandbox_test

import (
	"sync"
	"syscall"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/sandbox/internal/cthread"
)

// A thread that C made before the restriction is under it too.
func init() {
	finish := sync.OnceValues(cthread.Finish)
	try := func(pick func(open, socket syscall.Errno) syscall.Errno) func() error {
		return func() error { return errnoError(pick(finish())) }
	}
	before = append(before, func() (string, func() error) {
		if err := cthread.Start(); err != nil {
			panic(err)
		}
		return "C: read", try(func(open, _ syscall.Errno) syscall.Errno { return open })
	}, func() (string, func() error) {
		return "C: socket", try(func(_, socket syscall.Errno) syscall.Errno { return socket })
	})
	wantDenied = append(wantDenied, "C: read", "C: socket")
}
