package tasks

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// fitForReading makes a picture neither too large nor too small for the
// detector; lines alone get black above and below.
func fitForReading(p *images.Picture) (*images.Picture, frame) {
	out := p
	if ratio := float64(longestSide) / float64(max(out.Width, out.Height)); ratio < 1 {
		out = out.Resize(to32(float64(out.Width)*ratio), to32(float64(out.Height)*ratio), images.Linear)
	}
	if ratio := float64(shortestSide) / float64(min(out.Width, out.Height)); ratio > 1 {
		out = out.Resize(min(to32(float64(out.Width)*ratio), 8*longestSide), min(to32(float64(out.Height)*ratio), 8*longestSide), images.Linear)
	}
	f := stretched(p, float64(out.Width), float64(out.Height))
	if out.Height <= shortestSide || out.Width > widestRatio*out.Height {
		pad := max(max(out.Width/widestRatio, shortestSide)*2-out.Height, out.Height-max(out.Width/widestRatio, shortestSide)*2) / 2
		f.dy = float64(pad)
		out = out.Crop(0, -pad, out.Width, out.Height+2*pad)
	}
	return out, f
}

// to32 is the nearest multiple of 32 to a length without its fraction.
func to32(v float64) int { return max(int(math.RoundToEven(math.Floor(v)/32))*32, 32) }

// boundsOf is the upright box around four corners.
func boundsOf(q [4]images.Point, f frame) *engine.Box {
	xs := []float64{q[0].X, q[1].X, q[2].X, q[3].X}
	ys := []float64{q[0].Y, q[1].Y, q[2].Y, q[3].Y}
	return f.box(slices.Min(xs), slices.Min(ys), slices.Max(xs), slices.Max(ys))
}

// cutLine cuts a line out and has it lie flat.
func cutLine(p *images.Picture, q [4]images.Point) *images.Picture {
	w := int(max(apart(q[0], q[1]), apart(q[2], q[3])))
	h := int(max(apart(q[0], q[3]), apart(q[1], q[2])))
	cut := p.Straighten(q, w, h)
	if cut != nil && float64(h)/float64(w) >= 1.5 {
		cut = cut.Rotate(1)
	}
	return cut
}

func apart(a, b images.Point) float64 { return math.Hypot(a.X-b.X, a.Y-b.Y) }

// lineHeight is what the classifier and the recognizer see, and lineBatch how
// many lines at once: the reference's, for the width of a batch is that of its
// longest line, and what pads the others is read as well.
const (
	lineHeight = 48
	lineBatch  = 6
)

// byRatio are the lines' indexes, the widest last.
func byRatio(lines []line) []int {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	ratio := func(i int) float64 { return float64(lines[i].cut.Width) / float64(lines[i].cut.Height) }
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case ratio(a) < ratio(b):
			return -1
		case ratio(a) > ratio(b):
			return 1
		}
		return 0
	})
	return order
}

// turn puts lines upright that stand on their heads.
func (p *reader) turn(ctx context.Context, s engine.Sessions, lines []line) error {
	const width, sure = 192, 0.9
	for batch := range slices.Chunk(byRatio(lines), lineBatch) {
		out, err := p.classify.run(ctx, s, lineValues(lines, batch, width), int64(len(batch)), 3, lineHeight, width)
		if err != nil {
			return err
		}
		scores, _, err := floats(out, p.classify.output, int64(len(batch)), 2)
		if err != nil {
			return err
		}
		for k, i := range batch {
			if scores[2*k+1] > sure {
				lines[i].cut = lines[i].cut.Rotate(2)
			}
		}
	}
	return nil
}

// read has the recognizer read the lines.
func (p *reader) read(ctx context.Context, s engine.Sessions, lines []line) error {
	for batch := range slices.Chunk(byRatio(lines), lineBatch) {
		widest := lines[batch[len(batch)-1]].cut
		width := int(lineHeight * max(320.0/lineHeight, float64(widest.Width)/float64(widest.Height)))
		out, err := p.recognize.run(ctx, s, lineValues(lines, batch, width), int64(len(batch)), 3, lineHeight, int64(width))
		if err != nil {
			return err
		}
		values, shape, err := floats(out, p.recognize.output, int64(len(batch)), -1, -1)
		if err != nil {
			return err
		}
		if int(shape[2]) != len(p.characters) {
			return engine.Errorf(engine.ErrModelInvalid, "the recognizer knows %d characters, the list has %d", shape[2], len(p.characters))
		}
		size := int(shape[1] * shape[2])
		for k, i := range batch {
			lines[i].text, lines[i].score = p.spell(values[k*size:(k+1)*size], int(shape[2]))
		}
	}
	return nil
}

// ofPage and ofLine are the numbers from -1 to 1 that the models get for a
// byte, by the two ways in which the reference rounds.
var ofPage, ofLine = func() (page, line [256]float32) {
	for v := range 256 {
		page[v] = float32((float64(v)/255 - 0.5) / 0.5)
		line[v] = (float32(v)/255 - 0.5) / 0.5
	}
	return page, line
}()

// lineValues are lines of one height beside grey, blue first.
func lineValues(lines []line, batch []int, width int) []float32 {
	out := make([]float32, len(batch)*3*lineHeight*width)
	for k, i := range batch {
		cut := lines[i].cut
		w := min(int(math.Ceil(lineHeight*float64(cut.Width)/float64(cut.Height))), width)
		small := cut.Resize(w, lineHeight, images.Linear)
		for c := range 3 {
			plane := out[(k*3+c)*lineHeight*width:]
			for y := range lineHeight {
				row := small.Pix[y*w*3:]
				for x := range w {
					plane[y*width+x] = ofLine[row[x*3+2-c]]
				}
			}
		}
	}
	return out
}

// spell reads the likeliest character at each place, leaves out repetitions
// and blanks (CTC), and says how sure it is on average.
func (p *reader) spell(values []float32, classes int) (string, float64) {
	var text strings.Builder
	var sum float64
	n, last := 0, 0
	for at := 0; at < len(values); at += classes {
		row := values[at : at+classes]
		top, most := 0, row[0]
		for k, v := range row {
			if v > most {
				top, most = k, v
			}
		}
		if top != 0 && top != last {
			text.WriteString(p.characters[top])
			sum += float64(most)
			n++
		}
		last = top
	}
	if n == 0 {
		return "", 0
	}
	return text.String(), sum / float64(n)
}

// find has the detector find lines, in reading order.
func (p *reader) find(ctx context.Context, s engine.Sessions, o reading, picture *images.Picture) ([][4]images.Point, error) {
	const shortest = 736
	ratio := max(1, shortest/float64(min(picture.Width, picture.Height)))
	w, h := to32(float64(picture.Width)*ratio), to32(float64(picture.Height)*ratio)
	seen := picture.Resize(w, h, images.Linear)
	values := make([]float32, 3*w*h)
	for c := range 3 {
		plane := values[c*w*h:][:w*h]
		for i := range plane {
			plane[i] = ofPage[seen.Pix[i*3+2-c]]
		}
	}
	out, err := p.detect.run(ctx, s, values, 1, 3, int64(h), int64(w))
	if err != nil {
		return nil, err
	}
	likely, _, err := floats(out, p.detect.output, 1, 1, int64(h), int64(w))
	if err != nil {
		return nil, fmt.Errorf("the detector: %w", err)
	}
	return readingOrder(textBoxes(likely, w, h, picture, o)), nil
}

// readingOrder sorts boxes from the top, and within ten pixels from the left.
func readingOrder(boxes [][4]images.Point) [][4]images.Point {
	slices.SortStableFunc(boxes, func(a, b [4]images.Point) int {
		if d := a[0].Y - b[0].Y; d != 0 {
			return int(math.Copysign(1, d))
		}
		return int(a[0].X - b[0].X)
	})
	for i := range max(len(boxes)-1, 0) {
		for j := i; j >= 0; j-- {
			if math.Abs(boxes[j+1][0].Y-boxes[j][0].Y) >= 10 || boxes[j+1][0].X >= boxes[j][0].X {
				break
			}
			boxes[j], boxes[j+1] = boxes[j+1], boxes[j]
		}
	}
	return boxes
}
