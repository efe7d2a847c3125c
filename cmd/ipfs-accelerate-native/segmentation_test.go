//go:build unix

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"math"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
)

// Things in pictures have masks of their own, whose white is their area, and
// subtasks that a model can't do are refused.
func TestImageSegmentation_panoptic(t *testing.T) {
	run := pipeline(t, tasks.ImageSegmentation(), folder(t, vision+"/maskformer"))
	items := files(t, vision, "scene.png")
	a, err := run(engine.Request{Items: items, Parameters: json.RawMessage(`{"masks":true,"annotate":true}`)})
	must(t, err)
	if len(a.Outputs) != 2 || len(a.Pictures) != 3 || a.Outputs[0].Label != a.Outputs[1].Label {
		t.Fatalf("%d outputs and %d pictures, not two things of one label", len(a.Outputs), len(a.Pictures))
	}
	for i, o := range a.Outputs {
		p := a.Pictures[i+1]
		if want := fmt.Sprintf("0-%d.png", i+1); p.Name != want {
			t.Errorf("the mask's name is %q, want %q", p.Name, want)
		}
		m, err := png.Decode(bytes.NewReader(p.PNG))
		must(t, err)
		white := 0
		for _, v := range m.(*image.Gray).Pix { //nolint:forcetypeassert // it is black and white
			if v > 0 {
				white++
			}
		}
		size := m.Bounds().Size()
		if part := float64(white) / float64(size.X*size.Y); math.Abs(part-*o.Area) > 1e-5 {
			t.Errorf("%v of the mask is white, the area %v", part, *o.Area)
		}
	}
	for subtask, code := range map[string]engine.Code{"instance": engine.ErrUnsupported, "other": engine.ErrInvalidArgument} {
		if _, err := run(engine.Request{Items: items, Parameters: json.RawMessage(`{"subtask":"` + subtask + `"}`)}); !isCode(err, code) {
			t.Errorf("%s: %v", subtask, err)
		}
	}
	run = pipeline(t, tasks.ImageSegmentation(), folder(t, vision+"/segformer"))
	if _, err := run(engine.Request{Items: items, Parameters: json.RawMessage(`{"subtask":"panoptic"}`)}); !isCode(err, engine.ErrUnsupported) {
		t.Errorf("a semantic model, panoptic: %v", err)
	}
	if _, err := run(engine.Request{Items: items, Parameters: json.RawMessage(`{"subtask":"semantic"}`)}); err != nil {
		t.Errorf("a semantic model, semantic: %v", err)
	}
}
