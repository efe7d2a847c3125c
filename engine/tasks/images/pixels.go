package images

import (
	"image"
	"image/color"
)

// fromImage takes the colours of a decoded picture, as libraries that Python
// uses would; bounds is the whole picture, of which m may be a part.
func fromImage(m image.Image, format string, bounds image.Rectangle) *Picture {
	b := m.Bounds()
	if format != "gif" {
		bounds = b
	}
	p := New(bounds.Dx(), bounds.Dy())
	part := p
	if b != bounds {
		part = New(b.Dx(), b.Dy())
	}
	part.take(m, format)
	if part != p {
		p.Paste(part, b.Min.X, b.Min.Y)
	}
	return p
}

// take fills p with the pixels of a picture of the same size.
func (p *Picture) take(m image.Image, format string) {
	switch m := m.(type) {
	case *image.RGBA:
		p.every(m.Pix, m.Stride, 4, 1)
	case *image.NRGBA:
		p.every(m.Pix, m.Stride, 4, 1)
	case *image.RGBA64:
		p.every(m.Pix, m.Stride, 8, 2)
	case *image.NRGBA64:
		p.every(m.Pix, m.Stride, 8, 2)
	case *image.Gray:
		p.gray(m.Pix, m.Stride, 1)
	case *image.Gray16:
		p.gray(m.Pix, m.Stride, 2)
	case *image.Paletted:
		p.paletted(m)
	case *image.YCbCr:
		p.ycbcr(m, format)
	case *image.NYCbCrA:
		p.ycbcr(&m.YCbCr, format)
	case *image.CMYK:
		p.cmyk(m)
	default:
		p.any(m)
	}
}

// every takes pixels of size bytes, whose colours are every step-th byte.
func (p *Picture) every(pix []byte, stride, size, step int) {
	for y := range p.Height {
		row, src := p.row(y), pix[y*stride:]
		for i, j := 0, 0; i < len(row); i, j = i+3, j+size {
			row[i], row[i+1], row[i+2] = src[j], src[j+step], src[j+2*step]
		}
	}
}

func (p *Picture) gray(pix []byte, stride, size int) {
	for y := range p.Height {
		row, src := p.row(y), pix[y*stride:]
		for i, j := 0, 0; i < len(row); i, j = i+3, j+size {
			row[i], row[i+1], row[i+2] = src[j], src[j], src[j]
		}
	}
}

func (p *Picture) paletted(m *image.Paletted) {
	var colors [256][3]byte
	for i, c := range m.Palette {
		n, ok := c.(color.NRGBA)
		if !ok {
			n = color.NRGBAModel.Convert(c).(color.NRGBA) //nolint:forcetypeassert // the model's own type
		}
		colors[i&255] = [3]byte{n.R, n.G, n.B}
	}
	for y := range p.Height {
		row, src := p.row(y), m.Pix[y*m.Stride:]
		for x := range p.Width {
			copy(row[x*3:], colors[src[x]][:])
		}
	}
}

// cmyk is Pillow's conversion.
func (p *Picture) cmyk(m *image.CMYK) {
	for y := range p.Height {
		row, src := p.row(y), m.Pix[y*m.Stride:]
		for x := range p.Width {
			k := 255 - int(src[x*4+3])
			for c := range 3 {
				t := int(src[x*4+c])*k + 128
				row[x*3+c] = byte(max(k-(t>>8+t)>>8, 0))
			}
		}
	}
}

func (p *Picture) any(m image.Image) {
	b := m.Bounds()
	for y := range p.Height {
		row := p.row(y)
		for x := range p.Width {
			n := color.NRGBAModel.Convert(m.At(b.Min.X+x, b.Min.Y+y)).(color.NRGBA) //nolint:forcetypeassert // the model's own type
			row[x*3], row[x*3+1], row[x*3+2] = n.R, n.G, n.B
		}
	}
}

// ycbcr takes pictures of brightness and colour, whose colours may be of half
// the size: they are smoothed as libjpeg and libwebp do, where Go repeats them.
func (p *Picture) ycbcr(m *image.YCbCr, format string) {
	convert := jpegColor
	if format == "webp" {
		convert = webpColor
	}
	up := newUpsampler(m, p.Width, p.Height)
	cb, cr := make([]byte, p.Width), make([]byte, p.Width)
	b := m.Bounds()
	for y := range p.Height {
		up.row(cb, m.Cb, y)
		up.row(cr, m.Cr, y)
		row, luma := p.row(y), m.Y[m.YOffset(b.Min.X, b.Min.Y+y):]
		for x := range p.Width {
			row[x*3], row[x*3+1], row[x*3+2] = convert(int(luma[x]), int(cb[x]), int(cr[x]))
		}
	}
}

// jpegColor is JFIF's conversion in 16 bits of fraction, as libjpeg has it.
func jpegColor(y, cb, cr int) (r, g, b byte) {
	cb, cr = cb-128, cr-128
	return clip(y + (91881*cr+32768)>>16), clip(y + (-22554*cb-46802*cr+32768)>>16), clip(y + (116130*cb+32768)>>16)
}

// webpColor is BT.601's conversion of the narrow range, as libwebp has it.
func webpColor(y, u, v int) (r, g, b byte) {
	high := func(v, c int) int { return v * c >> 8 }
	y = high(y, 19077)
	return clip((y + high(v, 26149) - 14234) >> 6), clip((y - high(u, 6419) - high(v, 13320) + 8708) >> 6), clip((y + high(u, 33050) - 17685) >> 6)
}

func clip(v int) byte { return byte(min(max(v, 0), 255)) }

// An upsampler makes rows of colours as wide as the picture.
type upsampler struct {
	ratio         image.YCbCrSubsampleRatio
	stride        int
	offset        int
	wide, high    int // of the planes
	width, height int // of the picture
	line          []int
}

func newUpsampler(m *image.YCbCr, width, height int) *upsampler {
	b := m.Bounds()
	u := &upsampler{ratio: m.SubsampleRatio, stride: m.CStride, offset: m.COffset(b.Min.X, b.Min.Y), wide: width, high: height, width: width, height: height}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio420:
		u.wide, u.high = (width+1)/2, (height+1)/2
	case image.YCbCrSubsampleRatio422:
		u.wide = (width + 1) / 2
	case image.YCbCrSubsampleRatio440:
		u.high = (height + 1) / 2
	case image.YCbCrSubsampleRatio411:
		u.wide = (width + 3) / 4
	case image.YCbCrSubsampleRatio410:
		u.wide, u.high = (width+3)/4, (height+1)/2
	}
	u.line = make([]int, u.wide)
	return u
}

// row fills out with the y-th row of a plane.
func (u *upsampler) row(out, plane []byte, y int) {
	plane = plane[u.offset:]
	switch u.ratio {
	case image.YCbCrSubsampleRatio420:
		near, far := u.rows(plane, y)
		for i := range u.line {
			u.line[i] = 3*int(near[i]) + int(far[i])
		}
		u.widen(out, 8, 7, 4)
	case image.YCbCrSubsampleRatio440:
		near, far := u.rows(plane, y)
		for i := range out {
			out[i] = byte((3*int(near[i]) + int(far[i]) + 1 + y&1) >> 2)
		}
	case image.YCbCrSubsampleRatio422:
		src := plane[y*u.stride:]
		for i := range u.line {
			u.line[i] = int(src[i])
		}
		u.widen(out, 1, 2, 2)
	default:
		src := plane[y*u.high/u.height*u.stride:]
		for x := range out {
			out[x] = src[x*u.wide/u.width]
		}
	}
}

// rows are the row of a plane that y lies in, and the next nearest.
func (u *upsampler) rows(plane []byte, y int) (near, far []byte) {
	at := y / 2
	other := min(max(at-1+2*(y&1), 0), u.high-1)
	return plane[at*u.stride:], plane[other*u.stride:]
}

// widen doubles the line: three parts of what a pixel lies in, one of its
// neighbour; what is added before the shift differs left and right.
func (u *upsampler) widen(out []byte, left, right, shift int) {
	last := len(u.line) - 1
	for x := range out {
		at := x / 2
		other, add := max(at-1, 0), left
		if x&1 == 1 {
			other, add = min(at+1, last), right
		}
		out[x] = byte((3*u.line[at] + u.line[other] + add) >> shift)
	}
}
