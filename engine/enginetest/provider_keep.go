package enginetest

import (
	"fmt"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// keep has a session that can keep values do so; others are passed over.
func (s suite) keep(t *testing.T) {
	session := s.session(t, Add())
	k, ok := session.(engine.Keeper)
	if !ok {
		t.Skip("the sessions keep nothing")
	}
	one := engine.NewTensor([]int64{1, 3}, []float32{1, 2, 3})
	both := engine.Tensors{"left": one, "right": one}
	t.Run("Sums", func(t *testing.T) { keepSums(t, k, one, both) })
	t.Run("Holds", func(t *testing.T) { keepHolds(t, k, one, both) })
	t.Run("Repeats", func(t *testing.T) { keepRepeats(t, k) })
	t.Run("NothingToHold", func(t *testing.T) {
		_, err := k.RunKept(t.Context(), engine.Tensors{"left": one}, engine.Kept{Take: map[string]string{"right": "there"}, Hold: map[string]string{"right": "there"}})
		wantCode(t, err, engine.ErrInvalidArgument)
	})
	t.Run("NotThere", func(t *testing.T) {
		_, err := k.RunKept(t.Context(), engine.Tensors{"left": one}, engine.Kept{Take: map[string]string{"right": "nothing"}})
		wantCode(t, err, engine.ErrInvalidArgument)
	})
	t.Run("NoSuchInput", func(t *testing.T) {
		_, err := k.RunKept(t.Context(), both, engine.Kept{Take: map[string]string{"middle": "total"}})
		wantCode(t, err, engine.ErrInvalidArgument)
	})
	t.Run("NoSuchOutput", func(t *testing.T) {
		_, err := k.RunKept(t.Context(), both, engine.Kept{Keep: map[string]string{"product": "total"}})
		wantCode(t, err, engine.ErrInvalidArgument)
	})
	t.Run("TooMany", func(t *testing.T) {
		var err error
		for i := 0; i <= engine.MaxKept && err == nil; i++ {
			_, err = k.RunKept(t.Context(), both, engine.Kept{Keep: map[string]string{"sum": fmt.Sprint(i)}})
		}
		wantCode(t, err, engine.ErrTooLarge)
	})
}

// keepSums adds up without the sum being passed, then drops it.
func keepSums(t *testing.T, k engine.Keeper, one *engine.Tensor, both engine.Tensors) {
	total := map[string]string{"sum": "total"}
	out, err := k.RunKept(t.Context(), both, engine.Kept{Keep: total})
	if err != nil || len(out) != 0 {
		t.Fatalf("the first run returned %v, %v; want nothing", out, err)
	}
	for range 3 {
		if _, err = k.RunKept(t.Context(), engine.Tensors{"left": one}, engine.Kept{Take: map[string]string{"right": "total"}, Keep: total}); err != nil {
			t.Fatal(err)
		}
	}
	out, err = k.RunKept(t.Context(), engine.Tensors{"left": one}, engine.Kept{Take: map[string]string{"right": "total"}})
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, out["sum"], engine.NewTensor([]int64{1, 3}, []float32{6, 12, 18}))
	if err := k.Forget(t.Context(), "total", "never kept"); err != nil {
		t.Errorf("Forget: %v", err)
	}
	_, err = k.RunKept(t.Context(), engine.Tensors{"left": one}, engine.Kept{Take: map[string]string{"right": "total"}})
	wantCode(t, err, engine.ErrInvalidArgument)
}

// keepRepeats does runs of which nothing leaves the session, again and again,
// and then others with values of another shape under the same names.
func keepRepeats(t *testing.T, k engine.Keeper) {
	values := engine.Kept{Hold: map[string]string{"left": "l", "right": "r"}, Keep: map[string]string{"sum": "s"}}
	for _, n := range []int64{1, 4, 1} {
		in := engine.NewTensor([]int64{n, 3}, make([]float32, 3*n))
		want := engine.NewTensor([]int64{n, 3}, make([]float32, 3*n))
		mine, sums := floats(t, in), floats(t, want)
		for i := range mine {
			mine[i], sums[i] = float32(i)+float32(n), 3*(float32(i)+float32(n))
		}
		if _, err := k.RunKept(t.Context(), engine.Tensors{"left": in, "right": in}, values); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			out, err := k.RunKept(t.Context(), nil, engine.Kept{Take: values.Hold, Keep: values.Keep})
			if err != nil || len(out) != 0 {
				t.Fatalf("a run of which all stays returned %v, %v; want nothing", out, err)
			}
		}
		out, err := k.RunKept(t.Context(), engine.Tensors{"left": in}, engine.Kept{Take: map[string]string{"right": "s"}})
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, out["sum"], want)
	}
	if err := k.Forget(t.Context(), "l", "r", "s"); err != nil {
		t.Error(err)
	}
	_, err := k.RunKept(t.Context(), nil, engine.Kept{Take: values.Hold, Keep: values.Keep})
	wantCode(t, err, engine.ErrInvalidArgument)
}

func floats(t *testing.T, of *engine.Tensor) []float32 {
	t.Helper()
	out, err := engine.Values[float32](of)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// keepHolds gives an input once, which stays whatever becomes of the caller's.
func keepHolds(t *testing.T, k engine.Keeper, one *engine.Tensor, both engine.Tensors) {
	given := clone(one)
	if _, err := k.RunKept(t.Context(), engine.Tensors{"left": one, "right": given}, engine.Kept{Hold: map[string]string{"right": "there"}}); err != nil {
		t.Fatal(err)
	}
	clear(given.Data)
	for range 2 {
		out, err := k.RunKept(t.Context(), engine.Tensors{"left": one}, engine.Kept{Take: map[string]string{"right": "there"}})
		if err != nil {
			t.Fatal(err)
		}
		wantSame(t, out["sum"], engine.NewTensor([]int64{1, 3}, []float32{2, 4, 6}))
	}
	if _, err := k.RunKept(t.Context(), both, engine.Kept{Hold: map[string]string{"left": "there"}, Keep: map[string]string{"sum": "sum"}}); err != nil {
		t.Error(err)
	}
	if err := k.Forget(t.Context(), "there", "sum"); err != nil {
		t.Error(err)
	}
}
