package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

// A modelCache keeps what was read of models' own files. A root CID names
// exact bytes, so nothing in it ever goes stale.
type modelCache struct {
	mu     sync.Mutex // guards models and closed
	models map[string]*loadedModel
}

func newModelCache() *modelCache { return &modelCache{models: map[string]*loadedModel{}} }

// maxLoaded bounds the cache; when full it starts again.
const maxLoaded = 64

// A loadedModel is a model with what was read of it so far.
type loadedModel struct {
	Model
	stored string // the model in the store that this is, or is part of

	mu        sync.Mutex // guards what follows
	pipelines map[string]Pipeline
	graphs    map[string]Graph
}

// get returns the model of a, whose files were just checked.
func (c *modelCache) get(a ipfsstore.Artifact) (*loadedModel, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m := c.models[a.Root]; m != nil && m.Dir == a.Dir && slices.Equal(m.Files, modelOf(a).Files) {
		return m, nil
	}
	m := &loadedModel{Model: modelOf(a), stored: a.Model, pipelines: map[string]Pipeline{}, graphs: map[string]Graph{}}
	if err := m.LoadManifest(); err != nil {
		return nil, err
	}
	if len(c.models) >= maxLoaded {
		clear(c.models) // pipelines in use finish; they hold no sessions
	}
	c.models[a.Root] = m
	return m, nil
}

func modelOf(a ipfsstore.Artifact) Model {
	m := Model{Root: a.Root, Name: a.Name, Dir: a.Dir}
	for _, f := range a.Files {
		file := ModelFile{Name: f.Name, Bytes: f.Bytes, CID: f.CID}
		if f.Storage == ipfsstore.Reference {
			file.Path = f.Path
		}
		m.Files = append(m.Files, file)
	}
	return m
}

func (c *modelCache) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.models {
		for _, p := range m.pipelines {
			p.Close()
		}
	}
	clear(c.models)
}

// pipeline returns the model's pipeline for a task, loaded once.
func (m *loadedModel) pipeline(ctx context.Context, t Task) (Pipeline, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := m.pipelines[t.Name()]; p != nil {
		return p, nil
	}
	p, err := t.Load(ctx, &m.Model)
	if err != nil {
		return nil, err
	}
	m.pipelines[t.Name()] = p
	return p, nil
}

// graph returns what one of the model's .onnx files says of itself.
func (m *loadedModel) graph(file string) (Graph, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if g, ok := m.graphs[file]; ok {
		return g, nil
	}
	g, err := m.Graph(file)
	if err != nil {
		return Graph{}, err
	}
	m.graphs[file] = g
	return g, nil
}
