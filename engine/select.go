package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// priority ranks the platforms until something was measured: accelerators
// before the processor, as the Python system did that this program follows;
// DirectML, which that has not, comes just before the processor.
var priority = map[hardware.Kind]float64{
	hardware.CUDA: 100, hardware.OpenVINO: 90, hardware.MPS: 85, hardware.ROCm: 80, hardware.WebGPU: 70, hardware.WebNN: 65,
	hardware.Qualcomm: 60, hardware.DirectML: 55, hardware.CPU: 50,
}

// A candidate is a device with the provider that drives it.
type candidate struct {
	hardware.Device
	provider ExecutionProvider
	asked    string // precision that it shall compute in whatever the file has; "" leaves it to both
}

// A Ranked is one device as it was considered.
type Ranked struct {
	Device      string   `json:"device"`
	Score       float64  `json:"score"`
	PredictedMS *float64 `json:"predicted_ms,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// An Attempt is a device that was tried or passed over.
type Attempt struct {
	Device  string `json:"device"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
}

// A Driver is a provider for one kind of device, which it names even when it
// has none. Others are taken to drive the processor.
type Driver interface {
	Drives() hardware.Kind
}

// candidates lists the devices of every provider, best first. If there are
// none, the error says why, for the processor foremost.
func (e *Engine) candidates(ctx context.Context) ([]candidate, error) {
	all, missing := e.survey(ctx)
	if len(all) > 0 {
		return all, nil
	}
	for _, kind := range slices.Backward(hardware.Order) {
		if err := missing[kind]; err != nil {
			return nil, err
		}
	}
	return nil, Errorf(ErrDeviceUnavailable, "no device can run a model here").
		WithHint("detect_hardware says what each platform lacks")
}

// survey lists the devices of every provider, best first, and why there are
// none of a kind.
func (e *Engine) survey(ctx context.Context) (all []candidate, missing map[hardware.Kind]error) {
	missing = map[hardware.Kind]error{}
	for _, name := range e.o.Plugins.Providers() {
		p, kind := e.o.Plugins.providers[name], hardware.CPU
		if d, ok := p.(Driver); ok {
			kind = d.Drives()
		}
		ds, err := p.Devices(ctx)
		if err != nil {
			missing[kind] = err
		}
		for _, d := range ds {
			if e.denies(d.Kind) {
				missing[d.Kind] = denied(d.Kind)
				continue
			}
			all = append(all, candidate{Device: d, provider: p})
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(e.score(b), e.score(a)), strings.Compare(a.ID, b.ID))
	})
	return all, missing
}

// choose returns the devices to try for a request, best first: "auto" (or "")
// is every real device, else the named device or platform.
func (e *Engine) choose(ctx context.Context, device string) ([]candidate, error) {
	all, err := e.candidates(ctx)
	if err != nil {
		return nil, err
	}
	auto := device == "" || device == "auto"
	var out []candidate
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID)
		if auto && !c.Simulated || c.ID == device || string(c.Kind) == device {
			out = append(out, c)
		}
	}
	if len(out) > 0 {
		for _, c := range out {
			if c.Kind != hardware.CPU { // used only once it was seen to compute right
				e.verify(ctx, c, true, false)
			}
		}
		return e.trusted(ctx, out)
	}
	return nil, e.noDevice(ctx, device, ids)
}

// noDevice says why no device is called that.
func (e *Engine) noDevice(ctx context.Context, device string, ids []string) error {
	valid := append([]string{"auto"}, ids...)
	h, err := e.host()
	if err != nil {
		return err
	}
	platform, _, _ := strings.Cut(device, ":")
	platforms := make([]string, 0, len(h.Platforms))
	for _, p := range h.Platforms {
		platforms = append(platforms, string(p.Kind))
		if string(p.Kind) != platform {
			continue
		}
		_, missing := e.survey(ctx)
		st := e.status(p, nil, missing[p.Kind])
		out := Errorf(ErrDeviceUnavailable, "device %q is not available: %s", device, st.Reason)
		out.Hint, out.ValidValues = st.Fix, valid
		return out
	}
	out := unknown(ErrInvalidArgument, "device", device, valid)
	if out.Hint == "" {
		out.Hint = "detect_hardware tells of all devices and platforms"
		if s := Suggest(platform, platforms); s != "" {
			out.Hint = "did you mean \"" + s + "\"?"
		}
	}
	return out
}

// mayFallBack reports whether another device may do what this error says one
// could not: not when the input or the model is at fault, or the caller left.
func mayFallBack(err error) bool {
	for _, code := range []Code{ErrInvalidArgument, ErrModelInvalid, ErrNoOnnx, ErrModelChanged, ErrNotAllowed, ErrCancelled, ErrDeadline, ErrTooLarge} {
		if errors.Is(err, code) {
			return false
		}
	}
	return true
}
