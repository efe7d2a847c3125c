package tasks

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"golang.org/x/image/draw"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// maxSide is the longest side of an annotated picture.
const maxSide = 1024

// boxColor is that of annotations: visible on skin, sky and paper.
var boxColor = color.RGBA{R: 0x00, G: 0xe0, B: 0x40, A: 0xff}

// annotate draws the boxes and keypoints on a copy of a picture.
func annotate(i int, picture *images.Picture, found []engine.Output) (engine.Picture, error) {
	out, scale := reduced(picture)
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
	return encoded(fmt.Sprintf("%d.png", i), out)
}

// reduced is a copy that is small enough to show, and how much smaller it is.
func reduced(p *images.Picture) (*image.RGBA, float64) {
	scale := min(1, float64(maxSide)/float64(max(p.Width, p.Height)))
	return p.Resize(max(int(float64(p.Width)*scale), 1), max(int(float64(p.Height)*scale), 1), images.Bilinear).RGBA(), scale
}

func encoded(name string, m image.Image) (engine.Picture, error) {
	var data bytes.Buffer
	if err := png.Encode(&data, m); err != nil {
		return engine.Picture{}, err
	}
	return engine.Picture{Name: name, PNG: data.Bytes()}, nil
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
