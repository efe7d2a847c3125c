package onnx

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// memoryWords are in what ONNX Runtime says when it could not get memory.
var memoryWords = []string{
	"bad_alloc", "BFCArena", "bfc_arena", "Failed to allocate memory", "pthread_create", "Resource temporarily unavailable",
	"Cannot allocate memory", "out of memory",
}

func isMemory(text string) bool {
	for _, w := range memoryWords {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// loadError says in the engine's words why a model could not be loaded.
func loadError(err error, dir, file string) error {
	text := err.Error()
	switch {
	case isMemory(text):
		return outOfMemory("loading", file)
	case strings.Contains(text, "Could not find an implementation"):
		return engine.Errorf(engine.ErrUnsupported, "this ONNX Runtime can't run %s: %s", file, tidy(text, dir))
	}
	return engine.Errorf(engine.ErrModelInvalid, "%s is not a model that ONNX Runtime can load: %s", file, tidy(text, dir))
}

// runError says why a run failed that nobody stopped.
func runError(err error) error {
	if isMemory(err.Error()) {
		return outOfMemory("running", "the model")
	}
	return engine.Errorf(engine.ErrInvalidArgument, "the model can't be run on this input: %s", tidy(err.Error(), ""))
}

func outOfMemory(doing, what string) error {
	return engine.Errorf(engine.ErrOutOfMemory, "%s %s takes more memory than it may use", doing, what).
		WithHint("use a smaller batch, shorter inputs or a smaller model, or raise the memory limit")
}

var (
	// absolute matches the folders of a path, ours or of those who built
	// the library.
	absolute = regexp.MustCompile(`(?:[A-Za-z]:)?[/\\](?:[^\s/\\:'",()<>]+[/\\])+`)

	// preamble is what the binding and ONNX Runtime say before the point.
	preamble = regexp.MustCompile(`^Error creating C session from file: `)
)

// maxMessage bounds what is told of a library's message.
const maxMessage = 1000

// tidy takes paths of this machine, the model's folder foremost, out of a
// message.
func tidy(text, dir string) string {
	if dir != "" {
		text = strings.ReplaceAll(text, filepath.Clean(dir)+string(filepath.Separator), "")
		text = strings.ReplaceAll(text, filepath.Clean(dir), "the model's folder")
	}
	text = preamble.ReplaceAllString(text, "")
	text = absolute.ReplaceAllString(text, "")
	text = strings.Join(strings.Fields(text), " ")
	return text[:min(len(text), maxMessage)]
}

// contextError says in the engine's words why ctx is done.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return engine.Errorf(engine.ErrDeadline, "the run took longer than allowed: %w", ctx.Err())
	}
	return engine.Errorf(engine.ErrCancelled, "the run was cancelled: %w", ctx.Err())
}
