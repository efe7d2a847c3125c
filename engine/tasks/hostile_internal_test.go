package tasks

import (
	"errors"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// What the heads of a decoder look at has a row for each token read, and the
// same moments in each layer.
func TestAlignment_hostileShapes(t *testing.T) {
	looks := func(shape ...int64) *engine.Tensor {
		n, _ := engine.Elements(shape)
		return engine.NewTensor(shape, make([]float32, n))
	}
	for name, c := range map[string]struct {
		first, second *engine.Tensor
		tokens        int
		says          string
	}{
		"fewer rows":    {looks(1, 2, 1, 9), looks(1, 2, 1, 9), 3, "has shape [1 2 1 9]"},
		"rows differ":   {looks(1, 2, 3, 9), looks(1, 2, 4, 9), 3, "has shape [1 2 4 9]"},
		"columns":       {looks(1, 2, 3, 9), looks(1, 2, 3, 10), 3, "has shape [1 2 3 10]"},
		"few columns":   {looks(1, 2, 3, 4), looks(1, 2, 3, 4), 3, "of 5 moments"},
		"no such head":  {looks(1, 2, 3, 9), looks(1, 1, 3, 9), 3, "without head 1"},
		"nothing":       {looks(1, 2, 3, 0), looks(1, 2, 3, 0), 3, "has shape [1 2 3 0]"},
		"another rank":  {looks(1, 2, 9), looks(1, 2, 9), 1, "has shape [1 2 9]"},
		"not there":     {nil, nil, 1, "gave no"},
		"another batch": {looks(2, 2, 1, 9), looks(2, 2, 1, 9), 1, "has shape [2 2 1 9]"},
	} {
		t.Run(name, func(t *testing.T) {
			a := alignment{heads: [][2]int{{0, 0}, {1, 1}}, moments: 5}
			err := a.take(engine.Tensors{crossAttentions + "0": c.first, crossAttentions + "1": c.second}, c.tokens)
			if !errors.Is(err, engine.ErrModelInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
}
