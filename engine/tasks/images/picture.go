package images

import "image"

// A Picture is rows of pixels from the top, each of red, green and blue.
type Picture struct {
	Width, Height int
	Pix           []byte // Width × Height × 3
}

// New returns a black picture. Neither side may be negative.
func New(width, height int) *Picture {
	return &Picture{width, height, make([]byte, width*height*3)}
}

// row are the bytes of a row.
func (p *Picture) row(y int) []byte { return p.Pix[y*p.Width*3 : (y+1)*p.Width*3] }

// Fill gives every pixel a colour.
func (p *Picture) Fill(r, g, b byte) {
	for i := 0; i < len(p.Pix); i += 3 {
		p.Pix[i], p.Pix[i+1], p.Pix[i+2] = r, g, b
	}
}

// Paste puts a picture where its top left corner is at x, y; what lies outside
// is left out.
func (p *Picture) Paste(src *Picture, x, y int) {
	from, to := max(0, -x), min(src.Width, p.Width-x)
	if from >= to {
		return
	}
	for sy := max(0, -y); sy < min(src.Height, p.Height-y); sy++ {
		copy(p.row(y + sy)[(x+from)*3:], src.row(sy)[from*3:to*3])
	}
}

// Crop cuts out width × height pixels; what lies outside is black.
func (p *Picture) Crop(x, y, width, height int) *Picture {
	out := New(width, height)
	out.Paste(p, -x, -y)
	return out
}

// Rotate turns the picture by so many right angles against the clock.
func (p *Picture) Rotate(quarters int) *Picture {
	switch quarters & 3 {
	case 1:
		return p.moved(p.Height, p.Width, func(x, y int) (int, int) { return p.Width - 1 - y, x })
	case 2:
		return p.moved(p.Width, p.Height, func(x, y int) (int, int) { return p.Width - 1 - x, p.Height - 1 - y })
	case 3:
		return p.moved(p.Height, p.Width, func(x, y int) (int, int) { return y, p.Height - 1 - x })
	}
	return p
}

// moved takes each pixel of a new picture from where from says.
func (p *Picture) moved(width, height int, from func(x, y int) (int, int)) *Picture {
	out := New(width, height)
	for y := range height {
		row := out.row(y)
		for x := range width {
			sx, sy := from(x, y)
			copy(row[x*3:x*3+3], p.Pix[(sy*p.Width+sx)*3:])
		}
	}
	return out
}

// RGBA is the picture as the standard library has it.
func (p *Picture) RGBA() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i, j := 0, 0; i < len(p.Pix); i, j = i+3, j+4 {
		out.Pix[j], out.Pix[j+1], out.Pix[j+2], out.Pix[j+3] = p.Pix[i], p.Pix[i+1], p.Pix[i+2], 0xff
	}
	return out
}
