package runner

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// askAgain is how long it is believed that an accelerator has no devices.
const askAgain = time.Minute

// asked is what the devices of an accelerator were found to be.
type asked struct {
	mu      sync.Mutex // held while a child is asked
	at      time.Time  // zero if none was
	library string     // that it loaded
	devices []hardware.Device
	err     error
}

// accelerators are the devices of the accelerator, which a child is asked for
// once. The child then serves the first session.
func (p *Provider) accelerators(ctx context.Context) ([]hardware.Device, error) {
	library := ""
	if p.options.Library != nil {
		path, err := p.options.Library()
		if err != nil {
			return nil, p.runtimeMissing(err)
		}
		library = path
	}
	a := &p.asked
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.at.IsZero() && a.library == library && (a.err == nil || time.Since(a.at) < askAgain) {
		return a.devices, a.err
	}
	var devices []hardware.Device
	err := p.withSpare(ctx, func(c *child) { devices = c.client.Devices() })
	if ctx.Err() == nil { // else it says nothing about the devices
		a.at, a.library, a.devices, a.err = time.Now(), library, devices, err
	}
	return devices, err
}
