package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A sink is a stream that keeps what is written.
type sink struct{ bytes.Buffer }

func (*sink) Close() error { return nil }

// encode returns the frame of h and tensors.
func encode(t testing.TB, h *header, tensors engine.Tensors) []byte {
	t.Helper()
	var s sink
	f, err := newFrame(h, tensors, DefaultMaxPayload)
	if err != nil {
		t.Fatal(err)
	}
	if err := newWriter(&s).write(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

// decode reads one frame the way both sides do.
func decode(data []byte, limit int64) (*header, engine.Tensors, error) {
	r := newReader(bytes.NewReader(data), limit, make([]byte, 4096))
	h, n, err := r.header()
	if err != nil {
		return nil, nil, err
	}
	if h.Shared != nil {
		tensors, err := tensorsOf(h.Tensors, r.sharedPayload(h))
		return h, tensors, err
	}
	payload := alignedBuffer(n)
	if err := r.payload(payload); err != nil {
		return nil, nil, err
	}
	tensors, err := tensorsOf(h.Tensors, payload)
	return h, tensors, err
}

func someTensors() engine.Tensors {
	return engine.Tensors{
		"f": engine.NewTensor([]int64{2, 2}, []float32{1, 2, 3, float32(math.Inf(1))}),
		"s": {DType: engine.String, Shape: []int64{3}, Strings: []string{"", "ä\x00\xff", "z"}},
		"0": engine.NewTensor(nil, []int64{7}),
		"e": {DType: engine.Float16, Shape: []int64{0, 4}},
		"b": {DType: engine.Bool, Shape: []int64{3}, Data: []byte{1, 0, 1}},
	}
}

func TestFrame_roundTrip(t *testing.T) {
	want := someTensors()
	data := encode(t, &header{ID: 3, Op: opRun, Session: 1}, want)
	h, got, err := decode(data, DefaultMaxPayload)
	if err != nil {
		t.Fatal(err)
	}
	if h.ID != 3 || h.Op != opRun || h.Session != 1 || len(got) != len(want) {
		t.Errorf("got %+v with %d tensors", h, len(got))
	}
	for name, w := range want {
		g := got[name]
		if g == nil || g.DType != w.DType || !bytes.Equal(g.Data, w.Data) || strings.Join(g.Strings, "|") != strings.Join(w.Strings, "|") {
			t.Errorf("%s: got %+v; want %+v", name, g, w)
		}
		if len(g.Data) > 0 && uintptr(unsafe.Pointer(&g.Data[0]))%alignment != 0 {
			t.Errorf("%s is not aligned", name)
		}
	}
	if start := prefixSize + int(binary.LittleEndian.Uint32(data)); (start+int(pad(int64(start))))%alignment != 0 {
		t.Error("the payload is not aligned within its frame")
	}
}

// rawFrame builds one by hand, whatever it says.
func rawFrame(headerLength uint32, payloadLength uint64, rest string) []byte {
	out := binary.LittleEndian.AppendUint32(nil, headerLength)
	out = binary.LittleEndian.AppendUint64(out, payloadLength)
	return append(out, rest...)
}

// withTensors builds a run whose tensors are described by JSON text.
func withTensors(text string, payload int) []byte {
	h := `{"id":1,"op":"run","session":1,"tensors":` + text + `}`
	n := prefixSize + len(h)
	return rawFrame(uint32(len(h)), uint64(payload), h+strings.Repeat("\x00", int(pad(int64(n)))+payload))
}

// shared builds a run whose payload lies in shared memory, as JSON text says.
func shared(text string, payload uint64) []byte {
	h := `{"id":1,"op":"run","session":1,"tensors":[{"name":"x","dtype":"int8","shape":[64],"offset":0,"length":64}],"shared":` + text + `}`
	n := prefixSize + len(h)
	return rawFrame(uint32(len(h)), payload, h+strings.Repeat("\x00", int(pad(int64(n)))+int(payload)))
}

func TestFrame_shared(t *testing.T) {
	h, tensors, err := decode(shared(`{"at":128,"length":64,"room":3904}`, 0), 1<<20)
	if err != nil || len(tensors["x"].Data) != 64 || h.Shared.room() != (block{192, 3904}) {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestSharedSpace(t *testing.T) {
	s := sharedSpace{size: 1024}
	get := func(n, want int64) block {
		t.Helper()
		b, ok := s.get(n)
		if ok != (want >= 0) || ok && b.at != want {
			t.Errorf("get(%d) is %v, %v; want it at %d", n, b, ok, want)
		}
		return b
	}
	a, b := get(100, 0), get(512, 128)
	get(385, -1)
	s.put(a)
	get(129, 640)
	get(128, 0)
	s.put(b)
	s.put(block{}) // that of a call without one
	get(512, 128)
	get(math.MaxInt64-alignment, -1)
}

func TestFrame_refusesHostile(t *testing.T) {
	many, err := json.Marshal(make([]tensorHeader, maxTensors+1))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"huge header":     rawFrame(math.MaxUint32, 0, ""),
		"header too long": rawFrame(maxHeader+1, 0, strings.Repeat(" ", maxHeader+200)),
		"no header":       rawFrame(0, 0, strings.Repeat(" ", 100)),
		"huge payload":    rawFrame(2, math.MaxUint64, "{}"+strings.Repeat("\x00", 50)),
		"over the limit":  rawFrame(2, 1<<20+1, "{}"+strings.Repeat("\x00", 50)),
		"not JSON":        rawFrame(4, 0, "nope"+strings.Repeat("\x00", 48)),
		"outside":         withTensors(`[{"name":"x","dtype":"int8","shape":[65],"offset":0,"length":65}]`, 64),
		"far outside":     withTensors(`[{"name":"x","dtype":"int8","shape":[64],"offset":9223372036854775744,"length":64}]`, 64),
		"negative offset": withTensors(`[{"name":"x","dtype":"int8","shape":[64],"offset":-64,"length":64}]`, 64),
		"negative length": withTensors(`[{"name":"x","dtype":"int8","shape":[1],"offset":0,"length":-1}]`, 64),
		"not aligned":     withTensors(`[{"name":"x","dtype":"int8","shape":[1],"offset":1,"length":1}]`, 64),
		"overlap":         withTensors(`[{"name":"x","dtype":"int8","shape":[64],"offset":0,"length":64},{"name":"y","dtype":"int8","shape":[64],"offset":0,"length":64}]`, 64),
		"twice":           withTensors(`[{"name":"x","dtype":"int8","shape":[0],"offset":0,"length":0},{"name":"x","dtype":"int8","shape":[0],"offset":0,"length":0}]`, 0),
		"shape too small": withTensors(`[{"name":"x","dtype":"float32","shape":[3],"offset":0,"length":16}]`, 64),
		"shape overflows": withTensors(`[{"name":"x","dtype":"float32","shape":[4611686018427387904,4],"offset":0,"length":0}]`, 64),
		"size overflows":  withTensors(`[{"name":"x","dtype":"float64","shape":[2305843009213693952],"offset":0,"length":0}]`, 64),
		"negative shape":  withTensors(`[{"name":"x","dtype":"int8","shape":[-1,-64],"offset":0,"length":64}]`, 64),
		"unknown type":    withTensors(`[{"name":"x","dtype":"int3","shape":[64],"offset":0,"length":64}]`, 64),
		"many strings":    withTensors(`[{"name":"x","dtype":"string","shape":[1000000000],"offset":0,"length":64}]`, 64),
		"string cut off":  withTensors(`[{"name":"x","dtype":"string","shape":[1],"offset":0,"length":3}]`, 64),
		"strings left":    withTensors(`[{"name":"x","dtype":"string","shape":[1],"offset":0,"length":64}]`, 64),
		"many tensors":    withTensors(string(many), 0),
		"shared and not":  shared(`{"at":0,"length":64}`, 64),
		"shared outside":  shared(`{"at":4096,"length":64}`, 0),
		"shared far away": shared(`{"at":9223372036854775744,"length":64}`, 0),
		"shared before":   shared(`{"at":-64,"length":64}`, 0),
		"shared askew":    shared(`{"at":1,"length":64}`, 0),
		"shared too long": shared(`{"at":0,"length":9223372036854775807}`, 0),
		"shared no room":  shared(`{"at":0,"length":64,"room":4096}`, 0),
		"shared any room": shared(`{"at":0,"length":64,"room":-1}`, 0),
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := decode(data, 1<<20); !errors.Is(err, errProtocol) {
				t.Errorf("got %v; want a violated protocol", err)
			}
		})
	}
}

func TestFrame_truncated(t *testing.T) {
	data := encode(t, &header{ID: 3, Op: opRun, Session: 1}, someTensors())
	for n := range data {
		_, _, err := decode(data[:n], DefaultMaxPayload)
		if n == 0 && errors.Is(err, io.EOF) {
			continue
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut after %d of %d bytes: got %v", n, len(data), err)
		}
	}
}

// FuzzFrame checks that no frame panics or has more allocated than the limits
// allow, and that what is accepted holds together.
func FuzzFrame(f *testing.F) {
	f.Add(encode(f, &header{ID: 3, Op: opRun, Session: 1}, someTensors()))
	f.Add(encode(f, &header{ID: 1, Op: opHello, Version: Version}, nil))
	f.Add(rawFrame(math.MaxUint32, math.MaxUint64, "{}"))
	f.Add(withTensors(`[{"name":"x","dtype":"string","shape":[2],"offset":0,"length":8}]`, 64))
	f.Add(shared(`{"at":0,"length":64,"room":100}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, tensors, err := decode(data, limit)
		runtime.ReadMemStats(&after)
		// JSON may take a multiple of its text; the rest is bounded by the limits.
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(8*limit+100*len(data)+maxHeader+1<<20); got > most {
			t.Errorf("%d bytes of input had %d allocated", len(data), got)
		}
		if err != nil {
			return
		}
		for name, x := range tensors {
			if err := x.Check(); err != nil {
				t.Errorf("tensor %q was accepted: %v", name, err)
			}
		}
	})
}
