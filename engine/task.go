package engine

import (
	"context"
	"encoding/json"
	"io"
	"strings"
)

// A Task knows how to serve one Hugging Face task id, such as
// "feature-extraction", with a model described by its own files.
type Task interface {
	Name() string

	// Load reads what the task needs of m: tokenizer, labels, processor. It
	// opens no session. Files it misses or can't read are ErrModelInvalid,
	// with the file's name and what is wrong with it; ErrNoOnnx is all of them.
	Load(ctx context.Context, m *Model) (Pipeline, error)
}

// A Documenter is a task that tells its parameters and outputs, as Markdown.
type Documenter interface {
	Doc() string
}

// TaskDoc returns the documentation of a task.
func (e *Engine) TaskDoc(task string) (string, error) {
	d, ok := e.o.Plugins.tasks[task].(Documenter)
	if !ok {
		return "", unknown(ErrUnsupported, "task", task, e.o.Plugins.Tasks())
	}
	return d.Doc(), nil
}

// A Pipeline turns what a caller means into runs of sessions and back: one run
// for a classifier, a loop for a generator, several models for OCR. Run may be
// called concurrently.
type Pipeline interface {
	Run(ctx context.Context, s Sessions, r Request) (Answer, error)
	Close() error
}

// Sessions opens the .onnx files of a pipeline's model on the chosen plan.
// Opening one twice gives the same session; the pipeline does not close it.
type Sessions interface {
	// Open returns the session of a file named relative to the model's
	// folder; "" means the file that the model's manifest or layout names.
	Open(ctx context.Context, file string) (Session, error)
}

// A Request is what a caller asks of a pipeline.
type Request struct {
	Items      []Item          // never empty
	Parameters json.RawMessage // the task's own; nil if none. Unknown keys are ErrInvalidArgument
	BatchSize  int             // the most items per run of a session; 0 lets the pipeline choose
	Planned    int             // the batch size that was measured to be best; 0 if none was
	Full       bool            // the caller wants everything, not a preview

	// Progress is told how far the work has come, if it takes long. It may
	// be nil, and does not block.
	Progress func(Progress)
}

// An Item is one input: a text, or something to open.
type Item struct {
	// Text is the caller's string, which a text task takes as it is.
	Text string

	// Record is the caller's object, for inputs of several fields; nil if
	// the input is a string.
	Record json.RawMessage

	// Open returns the picture or sound that Text names, already checked
	// against the allowed folders and capped in size.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// An Answer is what a pipeline found, one Output or more per item, in order.
type Answer struct {
	Outputs    []Output
	Vectors    [][]float32 // of equal length, one per item, if the task makes vectors
	Similarity [][]float64 // cosine of each pair of items, if asked for
	Pictures   []Picture   // annotated copies, if asked for
	Timings    PhaseTimings
}

// A Picture is an image made for the caller.
type Picture struct {
	Name string // such as "0.png"
	PNG  []byte
}

// PhaseTimings are milliseconds of wall time within a pipeline. Opening
// sessions is not part of them.
type PhaseTimings struct {
	Preprocess, Run, Postprocess float64
}

// An Output is one result of a task. It has the field names of transformers'
// pipelines; a task sets those it knows and leaves the others nil.
type Output struct {
	Item           int       `json:"item"`
	Label          string    `json:"label,omitempty"`
	Score          *float64  `json:"score,omitempty"`
	Box            *Box      `json:"box,omitempty"`
	Keypoints      []Point   `json:"keypoints,omitempty"`
	Dim            int       `json:"dim,omitempty"`
	Norm           *float64  `json:"norm,omitempty"`
	Preview        []float32 `json:"preview,omitempty"`
	Embedding      []float32 `json:"embedding,omitempty"`
	TruncatedInput *bool     `json:"truncated_input,omitempty"`

	Entity      string  `json:"entity,omitempty"`
	EntityGroup string  `json:"entity_group,omitempty"`
	Word        string  `json:"word,omitempty"`
	Index       *int    `json:"index,omitempty"`
	Start       *int    `json:"start,omitempty"`
	End         *int    `json:"end,omitempty"`
	Answer      *string `json:"answer,omitempty"`
	Token       *int64  `json:"token,omitempty"`
	TokenStr    string  `json:"token_str,omitempty"`
	Sequence    string  `json:"sequence,omitempty"`

	GeneratedText   *string `json:"generated_text,omitempty"`
	FinishReason    string  `json:"finish_reason,omitempty" jsonschema:"-"` // "stop" or "length"
	PromptTokens    int     `json:"prompt_tokens,omitempty" jsonschema:"-"`
	GeneratedTokens int     `json:"generated_tokens,omitempty" jsonschema:"-"`

	SummaryText     *string `json:"summary_text,omitempty" jsonschema:"-"`
	TranslationText *string `json:"translation_text,omitempty" jsonschema:"-"`

	Text   *string  `json:"text,omitempty"`
	Chunks []Chunk  `json:"chunks,omitempty"`
	Area   *float64 `json:"area,omitempty"` // of the picture, 0 to 1
	Depth  *Spread  `json:"depth,omitempty"`
}

// A Spread is how numbers are spread.
type Spread struct {
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// A Chunk is a part of what was said, and when.
type Chunk struct {
	Timestamp [2]*float64 `json:"timestamp"` // seconds from the start; nil where it is not known
	Text      string      `json:"text,omitempty"`
}

// A Box is a rectangle in pixels of the picture given, origin at top left.
type Box struct {
	XMin float64 `json:"xmin"`
	YMin float64 `json:"ymin"`
	XMax float64 `json:"xmax"`
	YMax float64 `json:"ymax"`
}

// A Point is a place in pixels of the picture given.
type Point struct {
	Name string  `json:"name"`
	X    float64 `json:"x"`
	Y    float64 `json:"y"`
}

// task is the Hugging Face task that the model's own files name, or "".
func (m *Model) task() string {
	if m.Manifest.Task != "" {
		return m.Manifest.Task
	}
	if m.Has("modules.json") || m.Has("1_Pooling/config.json") { // sentence-transformers' layout
		return "feature-extraction"
	}
	return m.headTask()
}

// heads are the tasks of transformers' classes, by how their names end.
var heads = []struct{ class, task string }{
	{"ForSequenceClassification", "text-classification"},
	{"ForTokenClassification", "token-classification"},
	{"ForMaskedLM", "fill-mask"},
	{"ForImageClassification", "image-classification"},
	{"ForObjectDetection", "object-detection"},
	{"ForSemanticSegmentation", "image-segmentation"},
	{"ForUniversalSegmentation", "image-segmentation"},
	{"MaskFormerForInstanceSegmentation", "image-segmentation"},
	{"DetrForSegmentation", "image-segmentation"},
	{"ForDepthEstimation", "depth-estimation"},
	{"CLIPModel", "zero-shot-image-classification"},
	{"ForAudioClassification", "audio-classification"},
	{"ForCTC", "automatic-speech-recognition"},
	{"WhisperForConditionalGeneration", "automatic-speech-recognition"},
	{"PegasusForConditionalGeneration", "summarization"},
	{"M2M100ForConditionalGeneration", "translation"},
	{"MarianMTModel", "translation"},
	{"ForConditionalGeneration", "text2text-generation"},
	{"ForQuestionAnswering", "question-answering"},
	{"ForCausalLM", "text-generation"},
	{"GPT2LMHeadModel", "text-generation"},
	{"BertModel", "feature-extraction"},
	{"RobertaModel", "feature-extraction"},
	{"MPNetModel", "feature-extraction"},
	{"ViTModel", "image-feature-extraction"},
	{"Dinov2Model", "image-feature-extraction"},
}

// headConfig is what config.json says of a model's head.
type headConfig struct {
	Architectures []string `json:"architectures"`
	Sklearn       struct {
		Task string `json:"task"`
	} `json:"sklearn"`
}

func (m *Model) headConfig() (c headConfig) {
	if data, err := m.ReadFile("config.json", maxManifest); err == nil {
		_ = json.Unmarshal(data, &c) // what can't be read says nothing
	}
	return c
}

// architecture is the class that config.json names, or "".
func (m *Model) architecture() string {
	if c := m.headConfig(); len(c.Architectures) > 0 {
		return c.Architectures[0]
	}
	return ""
}

// headTask is the task of the class that config.json names, or what is in it
// of scikit-learn, or "".
func (m *Model) headTask() string {
	class := m.architecture()
	if class == "" {
		return m.headConfig().Sklearn.Task
	}
	for _, h := range heads {
		switch {
		case !strings.HasSuffix(class, h.class):
		case h.task == "text-classification" && m.hears():
			return "audio-classification"
		default:
			return h.task
		}
	}
	return ""
}

// hears reports whether a model takes sounds rather than text: classes of
// transformers have the same name for both.
func (m *Model) hears() bool {
	return m.Has("preprocessor_config.json") && !m.Has("tokenizer.json") && !m.Has("vocab.txt") && !m.Has("vocab.json")
}

// pipeline returns the model's pipeline for a task, by default its own.
func (e *Engine) pipeline(ctx context.Context, m *loadedModel, task string) (Pipeline, string, error) {
	if task == "" {
		task = m.task()
	}
	known := e.o.Plugins.Tasks()
	if task == "" {
		return nil, "", m.unknownTask(known)
	}
	t := e.o.Plugins.tasks[task]
	if t == nil {
		return nil, "", unknown(ErrUnsupported, "task", task, known)
	}
	p, err := m.pipeline(ctx, t)
	return p, task, err
}
