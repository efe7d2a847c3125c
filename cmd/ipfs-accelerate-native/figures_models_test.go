//go:build figures && unix

package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/tasks"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A rival is another program with the same models. Each line it reads is a
// list of inputs, and each it writes how long they took. It stands still
// between its turns: threads of ONNX Runtime spin for tens of milliseconds
// after a run, where nobody turned that off, and would take a processor away
// from whose turn is next.
type rival struct {
	in      io.Writer
	out     *bufio.Reader
	process *os.Process
}

// A reply is what a rival writes.
type reply struct {
	Seconds float64 `json:"seconds"`
	Text    string  `json:"text"`
	IDs     []int64 `json:"ids"` // of greedy.py
}

func openRival(t *testing.T, args ...string) *rival {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...) // the test's context ends before it may
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { must(t, errors.Join(cmd.Process.Signal(syscall.SIGCONT), in.Close(), cmd.Wait())) })
	return &rival{in, bufio.NewReader(out), cmd.Process}
}

func (r *rival) ask(t *testing.T, inputs any) (a reply) {
	t.Helper()
	must(t, r.process.Signal(syscall.SIGCONT))
	must(t, json.NewEncoder(r.in).Encode(inputs))
	line, err := r.out.ReadBytes('\n')
	must(t, err)
	must(t, r.process.Signal(syscall.SIGSTOP))
	must(t, json.Unmarshal(line, &a))
	return a
}

// atLeast prints one line: ID value unit goal ok|short.
func atLeast(id string, value, goal float64) {
	verdict := "ok"
	if value < goal {
		verdict = "short"
	}
	fmt.Printf("%s %.3f ratio >=%g %s\n", id, value, goal, verdict)
}

// withModels is an engine that has the models of folders, by name.
func withModels(t *testing.T, task engine.Task, models map[string]string) *engine.Engine {
	t.Helper()
	store, err := ipfsstore.Open(t.TempDir(), ipfsstore.Options{})
	must(t, err)
	for name, dir := range models {
		_, err = store.Add(t.Context(), dir, ipfsstore.AddOptions{Name: name})
		must(t, err)
	}
	plugins := &engine.Registry{}
	plugins.RegisterProvider(newProvider(t, runner.Options{}))
	plugins.RegisterTask(task)
	e := engine.New(engine.Options{
		Plugins: plugins, Models: store, Results: openResults(t, t.TempDir(), time.Minute), Dir: t.TempDir(),
		Paths: engine.Paths{All: true},
	})
	t.Cleanup(func() { must(t, errors.Join(e.Close(), store.Close())) })
	return e
}

// inferSeconds is how long callers at once take, each with one input.
func inferSeconds(t *testing.T, e *engine.Engine, model string, inputs []string) (seconds float64, answer string) {
	t.Helper()
	errs, answers := make([]error, len(inputs)), make([]engine.Inference, len(inputs))
	began := time.Now()
	var wait sync.WaitGroup
	for i, input := range inputs {
		wait.Go(func() {
			answers[i], errs[i] = e.Infer(t.Context(), engine.InferRequest{Model: model, Inputs: []string{input}}, func(engine.Progress) {})
		})
	}
	wait.Wait()
	took := time.Since(began).Seconds()
	must(t, errors.Join(errs...))
	var text []string
	for _, o := range answers[0].Outputs {
		if o.Text != nil {
			text = append(text, *o.Text)
		}
	}
	return took, strings.Join(text, "\n")
}

// textsOf makes so many different texts of n tokens, with [CLS] and [SEP].
func textsOf(count, n int) []string {
	words := strings.Fields("the small river runs through old city and a fox sleeps near red house while people talk about good music")
	out := make([]string, count)
	for i := range out {
		picked := make([]string, n-2)
		for j := range picked {
			picked[j] = words[(i*7+j*3+j*j)%len(words)]
		}
		out[i] = strings.Join(picked, " ")
	}
	return out
}

// TestFigures_embeddings is how fast 64 callers at once get vectors of a text
// each, tokenised and run, over Python's onnxruntime and tokenizers one by one
// with the same file; and over hugot's default, which has all at once.
func TestFigures_embeddings(t *testing.T) {
	const callers, rounds = 64, 7
	m := minilm(t)
	e := withModels(t, tasks.FeatureExtraction(), map[string]string{"minilm": m.Dir})
	theirs := openRival(t, python(t), realModels+"/speed.py", "embed", m.Dir)
	for _, c := range []struct {
		tokens int
		goal   float64
	}{{8, 1.5}, {32, 1}, {128, 1}} {
		texts := textsOf(callers, c.tokens)
		var ratios, ours, others []float64
		for i := range rounds + 1 {
			mine, _ := inferSeconds(t, e, "minilm", texts)
			other := theirs.ask(t, texts).Seconds
			if i > 0 { // the first warms both up
				ratios, ours, others = append(ratios, other/mine), append(ours, mine), append(others, other)
			}
		}
		fmt.Printf("# P2b texts/s at %d tokens: %.1f here, %.1f in Python\n", c.tokens, callers/median(ours), callers/median(others))
		atLeast(fmt.Sprintf("P2b%d", c.tokens), median(ratios), c.goal)
	}
	hugotFigure(t, e, m.Dir, textsOf(callers, 32))
}

// hugotFigure has hugot embed the same texts, in a module of its own.
func hugotFigure(t *testing.T, e *engine.Engine, dir string, texts []string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hugot")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Dir, build.Env = "testdata/hugot", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Printf("P2bh - ratio >=5 absent:hugot-does-not-build\n# %s\n", strings.ReplaceAll(string(out), "\n", " "))
		return
	}
	theirs := openRival(t, program, dir)
	theirs.ask(t, texts)
	other := theirs.ask(t, texts).Seconds
	mine, _ := inferSeconds(t, e, "minilm", texts)
	fmt.Printf("# P2b texts/s at 32 tokens: %.1f by hugot\n", float64(len(texts))/other)
	atLeast("P2bh", other/mine, 5)
}

// TestFigures_whisper is a recording of ten seconds in words, from its file.
func TestFigures_whisper(t *testing.T) {
	against(t, "P14", "whisper", tasks.AutomaticSpeechRecognition(), whisper(t), filepath.Join(beckett(t), "beckett.wav"))
}

// TestFigures_ocr is a page's text, from its file by three models.
func TestFigures_ocr(t *testing.T) {
	against(t, "P15", "ocr", tasks.ImageToText(), ocr(t), absolute(t, realModels+"/page.png"))
}

// against has both find the text of a file, in turn, which must be the same.
func against(t *testing.T, id, kind string, task engine.Task, model, file string) {
	t.Helper()
	const rounds = 7
	e := withModels(t, task, map[string]string{kind: model})
	theirs := openRival(t, python(t), realModels+"/speed.py", kind, model)
	var ratios, ours, others []float64
	for i := range rounds + 1 {
		mine, text := inferSeconds(t, e, kind, []string{file})
		other := theirs.ask(t, []string{file})
		if text != other.Text {
			t.Fatalf("%q here, %q in Python", text, other.Text)
		}
		if i > 0 {
			ratios, ours, others = append(ratios, other.Seconds/mine), append(ours, mine), append(others, other.Seconds)
		}
	}
	fmt.Printf("# %s medians in s: %.3f here, %.3f in Python\n", id, median(ours), median(others))
	atLeast(id, median(ratios), 1)
}
