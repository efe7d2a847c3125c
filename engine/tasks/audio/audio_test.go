package audio_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/audio"
)

const sounds = "testdata/sounds"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// numbers are float32 in base64.
type numbers []float32

func (n *numbers) UnmarshalJSON(data []byte) error {
	var raw []byte
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	values, err := engine.Values[float32](&engine.Tensor{DType: engine.Float32, Data: raw})
	*n = values
	return err
}

// reference is what Python makes of sounds.
type reference struct {
	Files map[string]struct {
		Rate    int
		Samples numbers
	}
	Rates []struct {
		From, To int
		In, Out  numbers
	}
	Mel []struct {
		Bands   int
		In, Out numbers
	}
}

func load(t testing.TB, path string) (r reference) {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, json.Unmarshal(data, &r))
	if len(r.Files) < 10 || len(r.Rates) < 5 || len(r.Mel) < 2 {
		t.Fatalf("%s has too little", path)
	}
	return r
}

// off is the largest difference.
func off(a, b []float32) float64 {
	worst := 0.0
	for i := range min(len(a), len(b)) {
		worst = max(worst, math.Abs(float64(a[i]-b[i])))
	}
	return worst
}

func decode(t testing.TB, data []byte, rate int) ([]float32, error) {
	t.Helper()
	return audio.Decode(t.Context(), bytes.NewReader(data), rate)
}

func TestDecode_equalsReference(t *testing.T) {
	for name, want := range load(t, sounds+"/goldens.json").Files {
		data, err := os.ReadFile(filepath.Join(sounds, name))
		must(t, err)
		got, err := decode(t, data, want.Rate)
		must(t, err)
		tolerance, samples := 1e-6, []float32(want.Samples)
		switch {
		case strings.HasSuffix(name, ".ogg"):
			tolerance = 1e-3
		case strings.HasSuffix(name, ".mp3"): // begins with the coder's delay and a frame of its own, which libsndfile leaves out
			tolerance = 1e-3
			got = got[min(len(got), 1105+1152):]
			got, samples = got[:min(len(got), len(samples))], samples[:min(len(got), len(samples))]
		}
		if d := off(got, samples); d > tolerance || len(got) != len(samples) {
			t.Errorf("%s: %d samples, off by %v, want %d", name, len(got), d, len(want.Samples))
		}
	}
}

// wav is a file of 16-bit samples.
func wav(rate int, samples []float32) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF")
	binary.Write(&b, binary.LittleEndian, uint32(36+4*len(samples))) //nolint:errcheck // memory takes it
	b.WriteString("WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(3), uint16(1), uint32(rate), uint32(rate * 4), uint16(4), uint16(32)} {
		binary.Write(&b, binary.LittleEndian, v) //nolint:errcheck // memory takes it
	}
	b.WriteString("data")
	binary.Write(&b, binary.LittleEndian, uint32(4*len(samples))) //nolint:errcheck // memory takes it
	binary.Write(&b, binary.LittleEndian, samples)                //nolint:errcheck // memory takes it
	return b.Bytes()
}

func TestResample_equalsSciPy(t *testing.T) {
	for _, c := range load(t, sounds+"/goldens.json").Rates {
		got, err := decode(t, wav(c.From, c.In), c.To)
		must(t, err)
		if d := off(got, c.Out); d > 1e-5 || len(got) != len(c.Out) {
			t.Errorf("%d to %d: %d samples, off by %v, want %d", c.From, c.To, len(got), d, len(c.Out))
		}
	}
}

func TestLogMel_equalsReference(t *testing.T) {
	for _, c := range load(t, sounds+"/goldens.json").Mel {
		got, frames := audio.LogMel(c.In, c.Bands)
		if d := off(got, c.Out); d > 1e-5 || len(got) != len(c.Out) || frames != len(c.In)/audio.Hop {
			t.Errorf("%d bands: %d numbers, off by %v, want %d", c.Bands, len(got), d, len(c.Out))
		}
	}
}

// Python makes the same goldens today.
func TestGoldens_again(t *testing.T) {
	python := enginetest.Python(t, "testdata/requirements.txt", "--no-deps", "--require-hashes", "--only-binary", ":all:")
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), python, "testdata/reference.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, want := load(t, dir+"/goldens.json"), load(t, sounds+"/goldens.json")
	for name, w := range want.Files {
		if d := off(w.Samples, got.Files[name].Samples); d > 1e-4 {
			t.Errorf("%s is off by %v", name, d)
		}
	}
	for i, w := range want.Rates {
		if d := off(w.Out, got.Rates[i].Out); d > 1e-6 {
			t.Errorf("%d to %d is off by %v", w.From, w.To, d)
		}
	}
	for i, w := range want.Mel {
		if d := off(w.Out, got.Mel[i].Out); d > 1e-6 {
			t.Errorf("%d bands are off by %v", w.Bands, d)
		}
	}
}

func TestDecode_hostile(t *testing.T) {
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(sounds, name))
		must(t, err)
		return data
	}
	fast := wav(16000, []float32{1, 2, 3})
	binary.LittleEndian.PutUint32(fast[24:], 1<<31)
	for name, c := range map[string]struct {
		data []byte
		code engine.Code
	}{
		"empty":      {nil, engine.ErrInvalidArgument},
		"text":       {[]byte("no sound"), engine.ErrInvalidArgument},
		"no samples": {wav(16000, nil), engine.ErrInvalidArgument},
		"too fast":   {fast, engine.ErrInvalidArgument},
		"cut FLAC":   {read("s16.flac")[:60], engine.ErrInvalidArgument},
		"cut OGG":    {read("v.ogg")[:60], engine.ErrInvalidArgument},
		"cut MP3":    {read("l.mp3")[:60], engine.ErrInvalidArgument},
		"sync only":  {bytes.Repeat([]byte{0xff, 0xfb}, 2000), engine.ErrInvalidArgument},
		"long":       {make([]byte, audio.MaxBytes+1), engine.ErrTooLarge},
		"hours":      {wav(1000, make([]float32, 8_000_000)), engine.ErrTooLarge},
	} {
		if _, err := decode(t, c.data, 16000); !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

// A header that claims a billion samples gets what is there, and no memory.
func TestDecode_headerClaims(t *testing.T) {
	data := wav(16000, make([]float32, 1000))
	binary.LittleEndian.PutUint32(data[40:], 4_000_000_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := decode(t, data, 16000)
	must(t, err)
	runtime.ReadMemStats(&after)
	if len(got) != 1000 || after.TotalAlloc-before.TotalAlloc > 1<<20 {
		t.Errorf("%d samples, %d bytes", len(got), after.TotalAlloc-before.TotalAlloc)
	}
}

func TestDecode_cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audio.Decode(ctx, bytes.NewReader(wav(16000, make([]float32, 10))), 16000); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	seeds, err := filepath.Glob(sounds + "/*.*")
	must(f, err)
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		must(f, err)
		if len(data) < 1<<15 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := decode(t, data, 16000)
		if err == nil && len(got) == 0 {
			t.Error("no samples, no error")
		}
	})
}
