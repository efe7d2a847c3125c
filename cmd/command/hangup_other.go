//go:build !unix

package command

import "context"

// onHangup does nothing: this system has no signal for it.
func onHangup(context.Context, func()) {}
