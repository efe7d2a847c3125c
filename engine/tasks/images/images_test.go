package images_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color/palette"
	"image/gif"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/enginetest"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

const pictures = "testdata/pictures"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) *images.Picture {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	p, err := images.Decode(t.Context(), bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return p
}

// tolerance is how far a format that loses something may be off: decoders of
// it differ in their rounding.
func tolerance(name string) int {
	switch {
	case strings.HasSuffix(name, ".jpg"), strings.HasPrefix(name, "lossy"):
		return 3
	}
	return 0
}

func TestDecode_equalsPillow(t *testing.T) {
	refs, err := filepath.Glob(pictures + "/*.rgb.png")
	must(t, err)
	if len(refs) < 40 {
		t.Fatalf("only %d pictures", len(refs))
	}
	for _, ref := range refs {
		name := strings.TrimSuffix(ref, ".rgb.png")
		got, want := open(t, name), open(t, ref)
		if got.Width != want.Width || got.Height != want.Height {
			t.Errorf("%s is %d × %d, want %d × %d", name, got.Width, got.Height, want.Width, want.Height)
			continue
		}
		worst, sum := 0, 0
		for i := range want.Pix {
			d := int(got.Pix[i]) - int(want.Pix[i])
			worst, sum = max(worst, d, -d), sum+max(d, -d)
		}
		if worst > tolerance(filepath.Base(name)) {
			t.Errorf("%s: off by %d, on average by %.3f", name, worst, float64(sum)/float64(len(want.Pix)))
		}
	}
}

func TestResize_equalsPillow(t *testing.T) {
	data, err := os.ReadFile(pictures + "/goldens.json")
	must(t, err)
	var goldens map[string]string
	must(t, json.Unmarshal(data, &goldens))
	src := open(t, pictures+"/rgb.png")
	for name, want := range goldens {
		var w, h, f int
		if _, err := fmt.Sscanf(name, "%dx%d %d", &w, &h, &f); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(src.Resize(w, h, images.Filter(f)).Pix)
		if hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: other pixels than Pillow's", name)
		}
	}
	if len(goldens) < 30 {
		t.Errorf("%d goldens", len(goldens))
	}
}

// Pillow makes the same goldens today.
func TestGoldens_again(t *testing.T) {
	python := enginetest.Python(t, "testdata/requirements.txt", "--no-deps", "--require-hashes", "--only-binary", ":all:")
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), python, "testdata/reference.py", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	made, err := os.ReadDir(dir)
	must(t, err)
	for _, f := range made {
		got, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		want, err := os.ReadFile(filepath.Join(pictures, f.Name()))
		must(t, err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is kept", f.Name())
		}
	}
}

// claiming is a PNG file that says it is so large, in a few bytes.
func claiming(side uint32) []byte {
	var small bytes.Buffer
	png.Encode(&small, image.NewGray(image.Rect(0, 0, 1, 1))) //nolint:errcheck // memory takes it
	data := small.Bytes()[:33]
	binary.BigEndian.PutUint32(data[16:], side)
	binary.BigEndian.PutUint32(data[20:], side)
	return binary.BigEndian.AppendUint32(data[:29:29], crc32.ChecksumIEEE(data[12:29]))
}

// animation is a GIF file of many frames.
func animation(t *testing.T, frames int) []byte {
	t.Helper()
	g := gif.GIF{}
	for range frames {
		g.Image = append(g.Image, image.NewPaletted(image.Rect(0, 0, 500, 500), palette.Plan9))
		g.Delay = append(g.Delay, 1)
	}
	var b bytes.Buffer
	must(t, gif.EncodeAll(&b, &g))
	return b.Bytes()
}

func TestDecode_hostile(t *testing.T) {
	jpg, err := os.ReadFile(pictures + "/420.jpg")
	must(t, err)
	for name, c := range map[string]struct {
		data []byte
		code engine.Code
	}{
		"empty":     {nil, engine.ErrInvalidArgument},
		"text":      {[]byte("no picture"), engine.ErrInvalidArgument},
		"truncated": {jpg[:len(jpg)/2], engine.ErrInvalidArgument},
		"gigapixel": {claiming(100_000), engine.ErrTooLarge},
		"most":      {claiming(1<<31 - 1), engine.ErrInvalidArgument},
		"long":      {make([]byte, images.MaxBytes+1), engine.ErrTooLarge},
	} {
		if _, err := images.Decode(t.Context(), bytes.NewReader(c.data)); !errors.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}

// Of an animation one frame is decoded, however many there are.
func TestDecode_animationBomb(t *testing.T) {
	data := animation(t, 300) // 75 MB decoded
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p, err := images.Decode(t.Context(), bytes.NewReader(data))
	must(t, err)
	runtime.ReadMemStats(&after)
	if p.Width != 500 || p.Height != 500 {
		t.Errorf("%d × %d", p.Width, p.Height)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 20<<20 {
		t.Errorf("it took %d bytes", n)
	}
}

func TestDecode_cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := images.Decode(ctx, bytes.NewReader(claiming(10))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	seeds, err := filepath.Glob(pictures + "/*")
	must(f, err)
	for _, name := range seeds {
		data, err := os.ReadFile(name)
		must(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, _, err := image.DecodeConfig(bytes.NewReader(data)); err == nil && c.Width*c.Height > 1<<20 {
			t.Skip("large")
		}
		p, err := images.Decode(t.Context(), bytes.NewReader(data))
		if err == nil && len(p.Pix) != p.Width*p.Height*3 {
			t.Errorf("%d × %d, %d bytes", p.Width, p.Height, len(p.Pix))
		}
	})
}
