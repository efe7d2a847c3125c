package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// Bounds on what a file of settings may be: one comes with a stranger's
// project.
const (
	maxFile  = 1 << 20
	maxDepth = 16
)

// A document is a file of settings as it was read.
type document struct {
	path  string
	value any
	lines map[string]int // by JSON pointer, from 1
}

var errNotAFile = errors.New("is not a regular file")

// readDocument reads a file. What can't be read as one is a problem of it.
func readDocument(path string) (*document, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	d := &document{path: path, lines: map[string]int{}}
	var problem *Problem
	if ext := filepath.Ext(path); ext == ".yaml" || ext == ".yml" {
		problem = d.readYAML(data)
	} else {
		problem = d.readJSON(data)
	}
	if problem != nil {
		return nil, Error{[]Problem{*problem}}
	}
	return d, nil
}

// readSmall reads a file that is a file: to open a pipe would wait forever,
// and a link may lead anywhere.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s %w", filepath.Base(path), errNotAFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is over %d bytes", filepath.Base(path), maxFile)
	}
	return data, err
}

func (d *document) problem(line int, format string, args ...any) *Problem {
	return &Problem{Origin: Origin{File: d.path, Line: line}, Message: fmt.Sprintf(format, args...)}
}

// readJSON reads the value, and where each part of it stands.
func (d *document) readJSON(data []byte) *Problem {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	lineAt := func(offset int64) int { return 1 + bytes.Count(data[:min(offset, int64(len(data)))], []byte("\n")) }
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		_, err := dec.ReadToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return d.problem(lineAt(errorOffset(err, dec)), "is not JSON: %s", plainSyntax(err))
		}
		if dec.StackDepth() > maxDepth {
			return d.problem(lineAt(dec.InputOffset()), "is nested deeper than %d", maxDepth)
		}
		pointer := string(dec.StackPointer())
		if _, seen := d.lines[pointer]; !seen {
			d.lines[pointer] = lineAt(dec.InputOffset())
		}
	}
	values := json.NewDecoder(bytes.NewReader(data))
	values.UseNumber()
	if err := values.Decode(&d.value); err != nil {
		return d.problem(1, "is not JSON: %v", err)
	}
	return nil
}

func errorOffset(err error, dec *jsontext.Decoder) int64 {
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return syntax.ByteOffset
	}
	return dec.InputOffset()
}

// plainSyntax is what is wrong with a text, without where: that is said in
// lines.
func plainSyntax(err error) string {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) && syntax.Err != nil {
		return strings.TrimPrefix(syntax.Err.Error(), "jsontext: ")
	}
	return strings.TrimPrefix(err.Error(), "jsontext: ")
}

func (d *document) readYAML(data []byte) *Problem {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return d.problem(0, "is not YAML: %v", err)
	}
	if len(root.Content) == 0 {
		d.value = map[string]any{}
		return nil
	}
	var problem *Problem
	d.value, problem = d.node(root.Content[0], "", 0)
	return problem
}

// node turns YAML into JSON's terms. Aliases are refused: a few lines of them
// can stand for gigabytes.
func (d *document) node(n *yaml.Node, pointer string, depth int) (any, *Problem) {
	d.lines[pointer] = n.Line
	switch {
	case depth > maxDepth:
		return nil, d.problem(n.Line, "is nested deeper than %d", maxDepth)
	case n.Kind == yaml.MappingNode:
		return d.mapping(n, pointer, depth)
	case n.Kind == yaml.SequenceNode:
		out := []any{}
		for i, item := range n.Content {
			v, problem := d.node(item, pointer+"/"+strconv.Itoa(i), depth+1)
			if problem != nil {
				return nil, problem
			}
			out = append(out, v)
		}
		return out, nil
	case n.Kind == yaml.ScalarNode:
		return d.scalar(n)
	}
	return nil, d.problem(n.Line, "aliases are not allowed")
}

func (d *document) mapping(n *yaml.Node, pointer string, depth int) (any, *Problem) {
	out := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if _, twice := out[key.Value]; twice || key.Kind != yaml.ScalarNode {
			return nil, d.problem(key.Line, "the key %q is there twice, or is no word", key.Value)
		}
		v, problem := d.node(n.Content[i+1], pointer+"/"+key.Value, depth+1)
		if problem != nil {
			return nil, problem
		}
		out[key.Value] = v
		d.lines[pointer+"/"+key.Value] = key.Line
	}
	return out, nil
}

func (d *document) scalar(n *yaml.Node) (any, *Problem) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, d.problem(n.Line, "%v", err)
	}
	switch v.(type) {
	case int, int64, uint64, float64:
		data, err := json.Marshal(v)
		if err != nil {
			return nil, d.problem(n.Line, "%q is no number", n.Value)
		}
		return json.Number(data), nil
	case nil, bool, string:
		return v, nil
	}
	return n.Value, nil // a date, say: it is text
}

// exists reports whether there is something at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
