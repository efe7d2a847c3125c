package images

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// maxSide bounds the sides that a model's files may ask for.
const maxSide = 4096

// A Processor makes tensors of pictures as a model's preprocessor_config.json
// says, like the image processors of transformers.
type Processor struct {
	resize     bool
	size       size
	pct        float64 // of the resized picture, that is cropped to size; 0 if that is not done
	filter     Filter
	aspect     bool // keeps the proportions within size (DPT)
	multiple   int  // the sides are multiples of this; 0 is any
	up         bool // the sides are rounded up to such multiples (MaskFormer)
	crop       *size
	scale      float64
	mean, std  [3]float32
	normalize  bool
	flip       bool // blue comes first
	channelEnd bool // [height, width, 3] instead of [3, height, width]
}

// A size is what the configuration has as size: both sides, or limits of the
// shorter and the longer.
type size struct {
	Height   int `json:"height"`
	Width    int `json:"width"`
	Shortest int `json:"shortest_edge"`
	Longest  int `json:"longest_edge"`
}

// config is preprocessor_config.json.
type config struct {
	Type      string          `json:"image_processor_type"`
	OldType   string          `json:"feature_extractor_type"`
	DoResize  *bool           `json:"do_resize"`
	Size      json.RawMessage `json:"size"`
	MaxSize   int             `json:"max_size"`
	Resample  *Filter         `json:"resample"`
	DoCrop    bool            `json:"do_center_crop"`
	CropSize  json.RawMessage `json:"crop_size"`
	CropPct   float64         `json:"crop_pct"`
	DoRescale *bool           `json:"do_rescale"`
	Factor    *float64        `json:"rescale_factor"`
	DoNorm    *bool           `json:"do_normalize"`
	Mean      json.RawMessage `json:"image_mean"`
	Std       json.RawMessage `json:"image_std"`
	Flip      bool            `json:"do_flip_channel_order"`
	Aspect    bool            `json:"keep_aspect_ratio"`
	Multiple  int             `json:"ensure_multiple_of"`
	Divisor   int             `json:"size_divisor"`
}

// NewProcessor reads a configuration. shape is that of the model's input, with
// -1 where it is open: it says where the channels are.
func NewProcessor(data []byte, shape []int64) (*Processor, error) {
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, engine.Errorf(engine.ErrModelInvalid, "preprocessor_config.json can't be read: %w", err)
	}
	p := &Processor{resize: c.DoResize == nil || *c.DoResize, pct: c.CropPct, filter: Bilinear, scale: 1.0 / 255, flip: c.Flip, aspect: c.Aspect, multiple: max(c.Multiple, c.Divisor)}
	p.up = p.multiple > 0 && strings.HasPrefix(c.Type+c.OldType, "Mask")
	p.channelEnd = len(shape) == 4 && shape[3] == 3 && shape[1] != 3
	if c.Resample != nil {
		p.filter = *c.Resample
	}
	if _, ok := kernels[p.filter]; !ok && p.filter != Nearest && p.filter != Linear {
		return nil, wrong("resample %d is none of 0 to 5", p.filter)
	}
	if c.Factor != nil {
		p.scale = *c.Factor
	}
	if c.DoRescale != nil && !*c.DoRescale {
		p.scale = 1
	}
	if p.multiple > maxSide {
		return nil, wrong("sides are multiples of %d; it may be up to %d", p.multiple, maxSide)
	}
	if p.pct != 0 && (p.pct < 0.1 || p.pct > 1) {
		return nil, wrong("crop_pct is %v; it may be 0.1 to 1", p.pct)
	}
	if err := p.readSizes(c); err != nil {
		return nil, err
	}
	return p, p.readMeans(c)
}

func wrong(format string, args ...any) error {
	return engine.Errorf(engine.ErrModelInvalid, "preprocessor_config.json: "+format, args...)
}

// square says whether a size of one number is of both sides, as most image
// processors have it, or of the shorter one.
func (c config) square() bool {
	kind := c.Type + c.OldType
	for _, name := range []string{"CLIP", "ConvNext", "Detr", "DETR", "Yolos", "Levit", "Poolformer", "PoolFormer", "MobileNet", "MobileViT", "VideoMAE", "Bit", "MaskFormer", "Mask2Former"} {
		if strings.HasPrefix(kind, name) {
			return false
		}
	}
	return c.MaxSize == 0
}

func (p *Processor) readSizes(c config) error {
	if err := readSize(c.Size, c.square(), &p.size); err != nil {
		return err
	}
	if p.size.Longest == 0 {
		p.size.Longest = c.MaxSize
	}
	if p.size == (size{}) {
		p.resize = p.resize && p.multiple > 0
	}
	if c.DoCrop {
		p.crop = &size{}
		if err := readSize(c.CropSize, true, p.crop); err != nil {
			return err
		}
		if p.crop.Height == 0 || p.crop.Width == 0 {
			*p.crop = p.size
		}
		if p.crop.Height <= 0 || p.crop.Width <= 0 {
			return wrong("crop_size has no height and width")
		}
	}
	return nil
}

// readSize reads a size that is an object, or one number.
func readSize(raw json.RawMessage, square bool, s *size) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var one int
	var two []int
	switch {
	case json.Unmarshal(raw, &one) == nil && square:
		s.Height, s.Width = one, one
	case json.Unmarshal(raw, &one) == nil:
		s.Shortest = one
	case json.Unmarshal(raw, &two) == nil && len(two) == 2:
		s.Height, s.Width = two[0], two[1]
	case json.Unmarshal(raw, s) != nil:
		return wrong("a size is %s", raw)
	}
	for _, v := range []int{s.Height, s.Width, s.Shortest, s.Longest} {
		if v < 0 || v > maxSide {
			return wrong("a size is %d; it may be up to %d", v, maxSide)
		}
	}
	return nil
}

func (p *Processor) readMeans(c config) error {
	p.normalize = (c.DoNorm == nil || *c.DoNorm) && len(c.Mean) > 0 && len(c.Std) > 0
	if !p.normalize {
		return nil
	}
	for raw, into := range map[*json.RawMessage]*[3]float32{&c.Mean: &p.mean, &c.Std: &p.std} {
		var one float32
		var all []float32
		switch {
		case json.Unmarshal(*raw, &one) == nil:
			*into = [3]float32{one, one, one}
		case json.Unmarshal(*raw, &all) == nil && len(all) == 3:
			*into = [3]float32(all)
		default:
			return wrong("image_mean and image_std need three numbers each")
		}
	}
	for _, s := range p.std {
		if s == 0 {
			return wrong("image_std has a zero")
		}
	}
	return nil
}

// Process makes the values of a picture, and the shape of them.
func (p *Processor) Process(in *Picture) (values []float32, shape []int64) {
	out := in
	if p.resize {
		w, h := p.target(in.Width, in.Height)
		out = in.Resize(w, h, p.filter)
	}
	if p.pct > 0 && p.size.Shortest > 0 && p.size.Shortest < 384 {
		out = out.center(p.size.Shortest, p.size.Shortest)
	}
	if p.crop != nil {
		out = out.center(p.crop.Width, p.crop.Height)
	}
	return p.values(out)
}

// target is what a picture is resized to.
func (p *Processor) target(w, h int) (int, int) {
	w, h = p.scaled(w, h)
	if p.up {
		w, h = min((w+p.multiple-1)/p.multiple*p.multiple, maxSide*4), min((h+p.multiple-1)/p.multiple*p.multiple, maxSide*4)
	}
	return w, h
}

// scaled is that before it is rounded up.
func (p *Processor) scaled(w, h int) (int, int) {
	s := p.size
	switch {
	case s == size{}: // rounds down, as GLPN does
		return min(max(w/p.multiple, 1)*p.multiple, maxSide*4), min(max(h/p.multiple, 1)*p.multiple, maxSide*4)
	case s.Height > 0 && s.Width > 0 && p.aspect:
		return p.within(w, h)
	case s.Height > 0 && s.Width > 0 && p.multiple > 0 && !p.up:
		return roundTo(s.Width, p.multiple), roundTo(s.Height, p.multiple)
	case s.Height > 0 && s.Width > 0:
		return s.Width, s.Height
	case s.Shortest > 0:
		edge := s.Shortest
		if p.pct > 0 && edge < 384 {
			edge = int(float64(edge) / p.pct)
		} else if p.pct > 0 {
			return edge, edge
		}
		return shorter(w, h, edge, s.Longest)
	case s.Longest > 0:
		scale := float64(s.Longest) / float64(max(w, h))
		return max(int(float64(w)*scale), 1), max(int(float64(h)*scale), 1)
	}
	return w, h
}

// shorter gives the shorter side a length, and the longer one the same
// proportion, unless that is over its limit.
func shorter(w, h, edge, longest int) (int, int) {
	short, long := float64(min(w, h)), float64(max(w, h))
	if longest > 0 && long/short*float64(edge) > float64(longest) {
		edge = max(int(math.RoundToEven(float64(longest)*short/long)), 1)
	}
	// A strip of a few bytes may not become a picture of gigabytes.
	other := min(max(int(float64(edge)*long/short), 1), maxSide*4)
	if w <= h {
		return edge, other
	}
	return other, edge
}

// within is DPT's: the sides scale alike, by what is nearer to no scaling.
func (p *Processor) within(w, h int) (int, int) {
	sx, sy := float64(p.size.Width)/float64(w), float64(p.size.Height)/float64(h)
	scale := sy
	if math.Abs(1-sx) < math.Abs(1-sy) {
		scale = sx
	}
	m := max(p.multiple, 1)
	limit := func(v float64) int { return min(max(roundTo(int(math.RoundToEven(v)), m), m), maxSide*4) }
	return limit(scale * float64(w)), limit(scale * float64(h))
}

func roundTo(v, multiple int) int {
	return max(int(math.RoundToEven(float64(v)/float64(multiple))), 1) * multiple
}

// center cuts out the middle; a picture that is smaller gets black borders.
func (p *Picture) center(w, h int) *Picture {
	half := func(v int) int { return int(math.Floor(float64(v) / 2)) }
	return p.Crop(half(p.Width-w), half(p.Height-h), w, h)
}

// values are the pixels as the model takes them.
func (p *Processor) values(in *Picture) ([]float32, []int64) {
	n := in.Width * in.Height
	out := make([]float32, 3*n)
	for c := range 3 {
		var table [256]float32
		for v := range table {
			table[v] = float32(float64(v) * p.scale)
			if p.normalize {
				table[v] = (table[v] - p.mean[c]) / p.std[c]
			}
		}
		from := c
		if p.flip {
			from = 2 - c
		}
		at, step := c*n, 1
		if p.channelEnd {
			at, step = c, 3
		}
		for i := from; i < len(in.Pix); i += 3 {
			out[at] = table[in.Pix[i]]
			at += step
		}
	}
	if p.channelEnd {
		return out, []int64{1, int64(in.Height), int64(in.Width), 3}
	}
	return out, []int64{1, 3, int64(in.Height), int64(in.Width)}
}
