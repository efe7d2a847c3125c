package engine

import (
	"context"
	"time"
)

// Warm opens a model on the best device, so that the next call finds it in
// memory.
func (e *Engine) Warm(ctx context.Context, model string) error {
	m, _, err := e.model(ctx, model, func(Progress) {})
	if err != nil {
		return err
	}
	file, err := e.onnxFile(&m.Model, "")
	if err != nil {
		return err
	}
	devices, err := e.chooseFor(ctx, "", "", m, file)
	if err != nil {
		return err
	}
	o := e.open(m, devices[0], func(time.Duration) {})
	defer o.release()
	_, err = o.Open(ctx, file)
	return err
}
