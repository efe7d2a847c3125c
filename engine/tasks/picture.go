package tasks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	_ "image/gif" // decoders of what a picture may be
	_ "image/jpeg"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/draw"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// maxPixels bounds a picture before it is decoded: a few bytes can claim any
// size.
const maxPixels = 64 << 20

// maxSide is the longest side of an annotated picture.
const maxSide = 1024

// readPicture decodes the picture of an item.
func readPicture(ctx context.Context, item engine.Item) (image.Image, error) {
	r, err := item.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var head bytes.Buffer
	src := bufio.NewReader(r)
	c, format, err := image.DecodeConfig(io.TeeReader(src, &head))
	if err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the input is no picture that can be read: %w", err).
			WithHint("pass the path of a PNG, JPEG or GIF file")
	}
	if c.Width <= 0 || c.Height <= 0 || c.Width > maxPixels/c.Height {
		return nil, engine.Errorf(engine.ErrTooLarge, "the picture says it is %d × %d pixels, over the limit of %d million", c.Width, c.Height, maxPixels>>20).
			WithHint("scale it down first")
	}
	picture, _, err := image.Decode(io.MultiReader(&head, src))
	if err != nil {
		return nil, engine.Errorf(engine.ErrInvalidArgument, "the %s picture is broken: %w", format, err)
	}
	return picture, ctx.Err()
}

// A frame says where a picture lies in the square that a model sees.
type frame struct {
	scale      float64 // pixels of the picture per pixel of the square
	dx, dy     float64 // of the picture's corner, in pixels of the square
	wide, high float64 // of the picture
}

// letterbox scales a picture into a square of the given side, its proportions
// kept, on black.
func letterbox(picture image.Image, side int) (*image.RGBA, frame) {
	b := picture.Bounds()
	scale := float64(max(b.Dx(), b.Dy())) / float64(side)
	w := max(int(math.Round(float64(b.Dx())/scale)), 1)
	h := max(int(math.Round(float64(b.Dy())/scale)), 1)
	x, y := (side-w)/2, (side-h)/2
	square := image.NewRGBA(image.Rect(0, 0, side, side))
	draw.Draw(square, square.Bounds(), image.Black, image.Point{}, draw.Src)
	draw.BiLinear.Scale(square, image.Rect(x, y, x+w, y+h), picture, b, draw.Over, nil)
	return square, frame{scale: scale, dx: float64(x), dy: float64(y), wide: float64(b.Dx()), high: float64(b.Dy())}
}

// at turns a point of the square into one of the picture, kept inside it.
func (f frame) at(x, y float64) (float64, float64) {
	tenth := func(v, most float64) float64 { return math.Round(min(max(v*f.scale, 0), most)*10) / 10 }
	return tenth(x-f.dx, f.wide), tenth(y-f.dy, f.high)
}

// boxColor is that of annotations: visible on skin, sky and paper.
var boxColor = color.RGBA{R: 0x00, G: 0xe0, B: 0x40, A: 0xff}

// annotate draws the boxes and keypoints on a copy of a picture.
func annotate(i int, picture image.Image, found []engine.Output) (engine.Picture, error) {
	b := picture.Bounds()
	scale := min(1, float64(maxSide)/float64(max(b.Dx(), b.Dy())))
	out := image.NewRGBA(image.Rect(0, 0, max(int(float64(b.Dx())*scale), 1), max(int(float64(b.Dy())*scale), 1)))
	draw.BiLinear.Scale(out, out.Bounds(), picture, b, draw.Src, nil)
	width := max(out.Bounds().Dx()/200, 2)
	for _, f := range found {
		if f.Box != nil {
			outline(out, scaled(f.Box, scale), width)
		}
		for _, k := range f.Keypoints {
			x, y := int(k.X*scale), int(k.Y*scale)
			fill(out, image.Rect(x-width, y-width, x+width, y+width))
		}
	}
	var data bytes.Buffer
	if err := png.Encode(&data, out); err != nil {
		return engine.Picture{}, err
	}
	return engine.Picture{Name: fmt.Sprintf("%d.png", i), PNG: data.Bytes()}, nil
}

func scaled(b *engine.Box, scale float64) image.Rectangle {
	return image.Rect(int(b.XMin*scale), int(b.YMin*scale), int(b.XMax*scale), int(b.YMax*scale))
}

// outline draws the border of a rectangle.
func outline(out *image.RGBA, r image.Rectangle, width int) {
	fill(out, image.Rect(r.Min.X, r.Min.Y, r.Max.X, r.Min.Y+width))
	fill(out, image.Rect(r.Min.X, r.Max.Y-width, r.Max.X, r.Max.Y))
	fill(out, image.Rect(r.Min.X, r.Min.Y, r.Min.X+width, r.Max.Y))
	fill(out, image.Rect(r.Max.X-width, r.Min.Y, r.Max.X, r.Max.Y))
}

func fill(out *image.RGBA, r image.Rectangle) {
	draw.Draw(out, r, image.NewUniform(boxColor), image.Point{}, draw.Src)
}
