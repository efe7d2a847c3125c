//go:build unix

package command

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// onHangup calls f for each SIGHUP until ctx is done.
func onHangup(ctx context.Context, f func()) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	defer signal.Stop(told)
	for {
		select {
		case <-told:
			f()
		case <-ctx.Done():
			return
		}
	}
}
