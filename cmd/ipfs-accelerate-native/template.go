package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"
	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/logging"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/sandbox"
)

// Limits of a template, which comes with a model from anyone.
const (
	templateInput  = 8 << 20
	templateOutput = 4 << 20
	templateMemory = 256 << 20
	templateCPU    = 2 * time.Second
	templateRange  = 100_000
)

// runTemplate renders a Jinja template: {"template", "variables"} on standard
// input, the text on standard output. It gives up everything first.
func runTemplate(context.Context, []string) error {
	var r struct {
		Template  string         `json:"template"`
		Variables map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(io.LimitReader(os.Stdin, templateInput)).Decode(&r); err != nil {
		return fmt.Errorf("read the template: %w", err)
	}
	debug.SetMemoryLimit(templateMemory / 2)
	if _, err := sandbox.Apply(sandbox.Policy{MemoryBytes: templateMemory, CPU: templateCPU, NoNetwork: true, NoExec: true, NoWrite: true}); err != nil {
		return err
	}
	var out bounded
	if err := render(&out, r.Template, r.Variables); err != nil {
		return err
	}
	_, err := os.Stdout.Write(out.b)
	return err
}

// errTooLong ends a template that writes without end.
var errTooLong = errors.New("the template writes more than may be")

// bounded takes so much and no more.
type bounded struct{ b []byte }

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.b)+len(p) > templateOutput {
		return 0, errTooLong
	}
	b.b = append(b.b, p...)
	return len(p), nil
}

// render renders as transformers does: blocks take no line of their own.
func render(out io.Writer, template string, variables map[string]any) error {
	logging.SetEnabled(false)
	c := config.New()
	c.TrimBlocks, c.LeftStripBlocks = true, true
	loader, err := loaders.NewMemoryLoader(map[string]string{"/chat": inlineConditions(template)})
	if err != nil {
		return err
	}
	t, err := exec.NewTemplate("/chat", c, loader, &exec.Environment{
		Context:           exec.EmptyContext().Update(builtins.GlobalFunctions).Update(builtins.GlobalVariables).Update(chatFunctions()),
		Filters:           exec.NewFilterSet(map[string]exec.FilterFunction{}).Update(builtins.Filters).Update(exec.NewFilterSet(map[string]exec.FilterFunction{"tojson": toJSON})),
		Tests:             builtins.Tests,
		ControlStructures: builtins.ControlStructures,
		Methods:           builtins.Methods,
	})
	if err != nil {
		return err
	}
	return t.Execute(out, exec.NewContext(variables))
}

// chatFunctions are what chat templates call beside Jinja's own.
func chatFunctions() *exec.Context {
	return exec.NewContext(map[string]any{
		"raise_exception": func(_ *exec.Evaluator, args *exec.VarArgs) *exec.Value {
			return exec.AsValue(fmt.Errorf("the template refuses the conversation: %s", args.First().String()))
		},
		"strftime_now": func(_ *exec.Evaluator, args *exec.VarArgs) *exec.Value {
			return exec.AsValue(strftime.Format(args.First().String(), time.Now()))
		},
		chooseName: func(_ *exec.Evaluator, args *exec.VarArgs) *exec.Value {
			if len(args.Args) != 3 {
				return exec.AsValue(errors.New("a condition has three parts"))
			}
			if args.Args[0].IsTrue() {
				return args.Args[1]
			}
			return args.Args[2]
		},
		"range": func(_ *exec.Evaluator, args *exec.VarArgs) *exec.Value { return countTo(args) },
	})
}

// toJSON is json.dumps with ensure_ascii=False, as transformers has it.
func toJSON(_ *exec.Evaluator, in *exec.Value, args *exec.VarArgs) *exec.Value {
	var buffer bytes.Buffer
	enc := json.NewEncoder(&buffer)
	enc.SetEscapeHTML(false)
	indent := args.KwArgs["indent"]
	if indent != nil && indent.IsInteger() {
		enc.SetIndent("", strings.Repeat(" ", indent.Integer()))
	}
	if err := enc.Encode(in.ToGoSimpleType(false)); err != nil {
		return exec.AsValue(err)
	}
	text := strings.TrimSuffix(buffer.String(), "\n")
	if indent == nil {
		text = spaced(text)
	}
	return exec.AsSafeValue(text)
}

// spaced puts a space behind the commas and colons of JSON, as Python does.
func spaced(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '"' {
			n := quoted(s[i:])
			out.WriteString(s[i : i+n])
			i += n - 1
			continue
		}
		out.WriteByte(s[i])
		if s[i] == ',' || s[i] == ':' {
			out.WriteByte(' ')
		}
	}
	return out.String()
}

// countTo is Python's range, up to templateRange numbers.
func countTo(args *exec.VarArgs) *exec.Value {
	start, stop, step := 0, 0, 1
	switch n := args.Args; len(n) {
	case 1:
		stop = n[0].Integer()
	case 2:
		start, stop = n[0].Integer(), n[1].Integer()
	case 3:
		start, stop, step = n[0].Integer(), n[1].Integer(), n[2].Integer()
	}
	var out []int
	for i := start; step > 0 && i < stop || step < 0 && i > stop; i += step {
		if len(out) == templateRange {
			return exec.AsValue(fmt.Errorf("range of more than %d numbers", templateRange))
		}
		out = append(out, i)
	}
	return exec.AsValue(out)
}
