package tasks

import "image"

// A plane is numbers in rows.
type plane struct {
	width, height int
	values        []float32
}

// between are the places that a pixel of a larger or smaller plane is mixed
// of, and how much of the second.
type between struct {
	near, far int
	weight    float32
}

// stretch maps pixels to those of another length, their middles to each other
// (torch's bilinear interpolation with align_corners=False).
func stretch(from, to int) []between {
	out, scale := make([]between, to), float64(from)/float64(to)
	for i := range out {
		at := max((float64(i)+0.5)*scale-0.5, 0)
		near := min(int(at), from-1)
		out[i] = between{near, min(near+1, from-1), float32(at - float64(near))}
	}
	return out
}

// at is the number in the middle of four.
func (p plane) at(x, y between) float32 {
	top, bottom := p.values[y.near*p.width:], p.values[y.far*p.width:]
	a := top[x.near]*(1-x.weight) + top[x.far]*x.weight
	b := bottom[x.near]*(1-x.weight) + bottom[x.far]*x.weight
	return a*(1-y.weight) + b*y.weight
}

// resized is the plane in another size.
func (p plane) resized(width, height int) plane {
	out := plane{width, height, make([]float32, 0, width*height)}
	xs := stretch(p.width, width)
	for _, y := range stretch(p.height, height) {
		for _, x := range xs {
			out.values = append(out.values, p.at(x, y))
		}
	}
	return out
}

// gray shows the plane in another size, the most as white.
func (p plane) gray(width, height int, most float32) *image.Gray {
	out := image.NewGray(image.Rect(0, 0, width, height))
	xs, ys := stretch(p.width, width), stretch(p.height, height)
	for j, y := range ys {
		for i, x := range xs {
			if v := p.at(x, y) / most * 255; v > 0 {
				out.Pix[j*out.Stride+i] = byte(min(v, 255))
			}
		}
	}
	return out
}

// shownSize is how large a picture of these sides is shown.
func shownSize(width, height int) (int, int) {
	scale := min(1, float64(maxSide)/float64(max(width, height)))
	return max(int(float64(width)*scale), 1), max(int(float64(height)*scale), 1)
}
