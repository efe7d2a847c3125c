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
