package runner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// How long it is believed that an accelerator's libraries are not installed,
// and that it has no devices though they are: to find that out takes a process.
const (
	lookAgain = time.Second
	askAgain  = 10 * time.Minute
)

// asked is what the devices of an accelerator were found to be.
type asked struct {
	mu      sync.Mutex // held while a child is asked
	until   time.Time  // the error holds; zero if nothing is known
	devices []hardware.Device
	err     error
}

// accelerators are the devices of the accelerator, which a child is asked for
// once. The child then serves the first session.
func (p *Provider) accelerators(ctx context.Context) ([]hardware.Device, error) {
	a := &p.asked
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.devices != nil || time.Now().Before(a.until) {
		return a.devices, a.err
	}
	var devices []hardware.Device
	err := p.withSpare(ctx, func(c *child) { devices = c.client.Devices() })
	if ctx.Err() != nil { // it says nothing about the devices
		return nil, err
	}
	a.devices, a.err, a.until = devices, err, time.Now().Add(askAgain)
	if errors.Is(err, engine.ErrRuntimeMissing) {
		a.until = time.Now().Add(lookAgain)
	}
	return devices, err
}
