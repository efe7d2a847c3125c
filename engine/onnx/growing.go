package onnx

// #include "shim.h"
import "C"

import (
	"context"
	"unsafe"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// The inputs that say how long a language model's past is, and its output.
const (
	inputIDs      = "input_ids"
	attentionMask = "attention_mask"
	logits        = "logits"
)

// inPlace finds the pasts of a model that grow where they lie. Of a file that
// can't be read, which ONNX Runtime will say better, there are none.
func inPlace(path string) map[string]string { return readFile(path, engine.PastsInPlace) }

// A grown past is one that a run reads and writes in the same memory, which has
// room for tokens to come: a step then costs no copy of all that were before.
type grown struct {
	*kept
	fresh bool // made for the run; else it lies on the shelf
}

// roomFor is how many tokens memory is made for that has to hold n.
func roomFor(n int64) int64 { return max(128, (n+n/2+63)/64*64) }

// grow finds memory for the pasts of a run, by output, if they can grow in
// place: all of them are taken or empty, and kept. total is how long they are
// afterwards.
func (s *session) grow(in engine.Tensors, k engine.Kept, taken map[string]*kept) (out map[string]grown, total int64, err error) {
	mask, ids := in[attentionMask], in[inputIDs]
	if len(s.pasts) == 0 || !oneRow(mask) || !oneRow(ids) {
		return nil, 0, nil
	}
	total = mask.Shape[1]
	before := total - ids.Shape[1]
	for input, output := range s.pasts {
		v, given := taken[input], in[input]
		switch {
		case k.Keep[output] == "", k.Hold[input] != "", v != nil && v.room == 0, v == nil && (given == nil || len(given.Data) > 0 || before != 0):
			return nil, 0, nil
		case v != nil && (before < 0 || before > v.filled):
			return nil, 0, engine.Errorf(engine.ErrInvalidArgument, "the mask is for %d tokens before these, of which %d are remembered", before, v.filled)
		}
	}
	out = make(map[string]grown, len(s.pasts))
	for _, info := range s.info.Inputs {
		output, past := s.pasts[info.Name]
		if !past {
			continue
		}
		v := taken[info.Name]
		if v != nil && v.room >= total && k.Take[info.Name] == k.Keep[output] && s.shelf.alone(v) {
			out[output] = grown{kept: v}
			continue
		}
		made, err := roomier(info, v, before, total)
		if err != nil {
			release(out)
			return nil, 0, err
		}
		out[output] = grown{kept: made, fresh: true}
	}
	return out, total, nil
}

func oneRow(t *engine.Tensor) bool { return t != nil && len(t.Shape) == 2 && t.Shape[0] == 1 }

// callGrowing is call with pasts that are outputs where they lie. They are kept
// if all went well; no others are in v afterwards.
func (s *session) callGrowing(ctx context.Context, v *values, k engine.Kept, pasts map[string]grown, total int64) error {
	for i, info := range s.outputs {
		if p, ok := pasts[info.Name]; ok {
			v.out[i] = p.value
		}
	}
	err := s.call(ctx, v)
	for i, info := range s.outputs {
		if _, ok := pasts[info.Name]; ok {
			v.out[i] = nil // it is not v's
		}
	}
	if err == nil {
		s.shelf.putGrown(pasts, k.Keep, total)
	}
	return err
}

// release frees what was made for a run that did not keep it.
func release(pasts map[string]grown) {
	for _, p := range pasts {
		if p.fresh {
			C.shim_release(p.value)
		}
	}
}

// roomier makes memory with room for total tokens and more, that begins with
// those of v, which may be nil.
func roomier(info engine.ValueInfo, v *kept, tokens, total int64) (*kept, error) {
	heads, size := info.Shape[1], info.Shape[3]*int64(info.DType.Size())
	out := &kept{room: roomFor(total)}
	shape := [...]int64{1, heads, out.room, info.Shape[3]}
	if err := check(C.shim_new(nil, (*C.int64_t)(&shape[0]), C.size_t(len(shape)), elementTypes[info.DType], &out.value, &out.data)); err != nil {
		return nil, err
	}
	if v == nil || tokens == 0 {
		return out, nil
	}
	for h := range heads {
		copy(unsafe.Slice((*byte)(unsafe.Add(out.data, h*out.room*size)), tokens*size), unsafe.Slice((*byte)(unsafe.Add(v.data, h*v.room*size)), tokens*size))
	}
	return out, nil
}
