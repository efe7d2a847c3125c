package engine

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/hardware"
)

// A model of so many bytes of weights within its .onnx file is worth a copy
// that loads quicker.
const minLayout = 16 << 20

// layouts are copies of models' files whose weights are mapped when they are
// loaded, not read: a third of the time, and of the memory. They lie in
// DIR/ROOT/ and are no part of the model: what is not there is loaded as it
// is, and made in the meantime.
type layouts struct {
	dir   string
	limit int64 // bytes that all may take; 0 is none

	mu     sync.Mutex // held while one is made
	opened sync.Map   // folders that this process opened
}

// folder is where the layout of a model's file is.
func (l *layouts) folder(m *Model, file string) string {
	return filepath.Join(l.dir, m.Root, fingerprint([]byte(file)))
}

// of returns the model as it is to be opened, and the file's name in it.
func (l *layouts) of(m *Model, file string, c candidate) (*Model, string) {
	if l.limit == 0 || c.Kind != hardware.CPU {
		return m, file
	}
	dir := l.folder(m, file)
	if os.Chtimes(dir, time.Time{}, time.Now()) != nil { // notes the use
		return m, file
	}
	l.opened.Store(dir, true)
	laid := *m
	laid.Dir, laid.Files = dir, nil
	return &laid, path.Base(file)
}

// forget removes a layout that can't be opened.
func (l *layouts) forget(m *Model, file string) { _ = os.RemoveAll(l.folder(m, file)) }

// layOut makes the layout of a file that was just opened, in the background.
func (e *Engine) layOut(m *loadedModel, file string, g Graph, c candidate) {
	if e.layouts.limit == 0 || c.Kind != hardware.CPU || len(g.External) > 0 {
		return
	}
	e.goes(func() {
		if err := e.layouts.make(e.base, m, file, e.unchanged); err != nil && e.base.Err() == nil {
			e.log.Warn("a model was not laid out for quick loading", "model", m.Root, "file", file, "error", err)
		}
	})
}

// unchanged reports an error if a model in the store is not as it was when its
// files were verified.
func (e *Engine) unchanged(ctx context.Context, m *loadedModel) error {
	_, err := e.o.Models.Open(ctx, m.Root)
	return err
}

// make writes the layout of a file, if that is large enough and there is room.
// It appears whole or not at all.
func (l *layouts) make(ctx context.Context, m *loadedModel, file string, unchanged func(context.Context, *loadedModel) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	dir := l.folder(&m.Model, file)
	if _, err := os.Stat(dir); err == nil || ctx.Err() != nil {
		return nil
	}
	f, err := m.open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() < minLayout || st.Size() > l.limit {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(l.dir, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // nothing is left once it was renamed
	if err := writeLayout(ctx, f, st.Size(), filepath.Join(temp, path.Base(file))); err != nil {
		return err
	}
	if err := unchanged(ctx, m); err != nil { // what was read is what was verified
		return err
	}
	l.prune(st.Size())
	return os.Rename(temp, dir)
}

// writeLayout writes a model and beside it its weights.
func writeLayout(ctx context.Context, r *os.File, size int64, name string) error {
	model, err1 := os.Create(name)
	data, err2 := os.Create(name + ".data")
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	m, d := bufio.NewWriter(model), bufio.NewWriterSize(untilDone{ctx, data}, 1<<20)
	err := moveWeights(r, size, filepath.Base(name)+".data", m, d)
	return errors.Join(err, m.Flush(), d.Flush(), model.Close(), data.Sync(), data.Close())
}

// untilDone is a file that is written to until a context ends.
type untilDone struct {
	ctx context.Context //nolint:containedctx // a writer has no other way to know
	*os.File
}

func (w untilDone) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.File.Write(p)
}

// prune makes room for a layout: those go that were not used for longest, but
// not those that this process has opened. l.mu is held.
func (l *layouts) prune(bytes int64) {
	all := l.list()
	total := bytes
	for _, x := range all {
		total += x.bytes
	}
	slices.SortFunc(all, func(a, b layout) int { return a.used.Compare(b.used) })
	for _, x := range all {
		if _, opened := l.opened.Load(x.dir); !opened && total > l.limit && os.RemoveAll(x.dir) == nil {
			total -= x.bytes
		}
	}
}

// A layout is one as it lies on the disk.
type layout struct {
	dir   string
	bytes int64
	used  time.Time
}

func (l *layouts) list() []layout {
	dirs, _ := filepath.Glob(filepath.Join(l.dir, "*", "*")) // the pattern is right
	var out []layout
	for _, dir := range dirs {
		st, err := os.Stat(dir)
		if err != nil || !st.IsDir() {
			continue
		}
		out = append(out, layout{dir, DiskUse(dir), st.ModTime()})
	}
	return out
}

// DiskUse is what the files in a folder take, in bytes; 0 if there is none.
func DiskUse(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
