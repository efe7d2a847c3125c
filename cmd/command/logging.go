package command

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// A logOutput is where the log goes, as it can change while the program runs.
type logOutput struct {
	level slog.LevelVar
	file  *lumberjack.Logger // nil: stderr
}

// logger writes to stderr, for stdout belongs to answers and the protocol, or
// to a file.
func (c *cli) logger(l config.Logging) (*slog.Logger, *logOutput, error) {
	out := &logOutput{}
	if err := out.level.UnmarshalText([]byte(l.Level)); err != nil {
		return nil, nil, err
	}
	w := c.err
	if l.File != "" {
		out.file = &lumberjack.Logger{Filename: l.File, MaxSize: megabytes(l.MaxSize), MaxBackups: l.Keep}
		w = out.file
	}
	return slog.New(identified{out.handler(l.Format, w)}), out, nil
}

// megabytes is a size as the library counts, at least one.
func megabytes(s config.Size) int { return int(max(1, s>>20)) }

// handler is for people, coloured on a terminal only, or for machines.
func (o *logOutput) handler(format string, w io.Writer) slog.Handler {
	if format == "json" {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: &o.level})
	}
	layout := time.TimeOnly
	if o.file != nil {
		layout = time.RFC3339
	}
	return tint.NewTextHandler(w, &tint.Options{Level: &o.level, TimeFormat: layout, NoColor: !isTerminal(w)})
}

// reopen lets go of the file, which may have been moved: the next line makes
// it anew.
func (o *logOutput) reopen() {
	if o.file != nil {
		o.file.Close() // the next line tries again
	}
}

// close lets go of the file.
func (o *logOutput) close() error {
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}

// identified adds the id of the request that a line is about.
type identified struct{ slog.Handler }

// Handle adds the id.
func (h identified) Handle(ctx context.Context, r slog.Record) error {
	if id := engine.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps adding it.
func (h identified) WithAttrs(attrs []slog.Attr) slog.Handler {
	return identified{h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps adding it.
func (h identified) WithGroup(name string) slog.Handler { return identified{h.Handler.WithGroup(name)} }

// isTerminal reports whether a stream, to read or to write, is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// barAfter is how long work lasts before a progress bar is worth its line.
const barAfter = time.Second

// progress returns a report function that draws a bar on the terminal for
// work of over a second, and what to call when the work is done.
func (c *cli) progress() (report func(engine.Progress), done func()) {
	if !isTerminal(c.err) {
		return func(engine.Progress) {}, func() {}
	}
	start := time.Now()
	var bar *progressbar.ProgressBar
	report = func(p engine.Progress) {
		if time.Since(start) < barAfter {
			return
		}
		if bar == nil {
			bar = newBar(c.err, p)
		}
		bar.Describe(p.Message)
		if p.Total > 0 {
			bar.ChangeMax64(p.Total)
		}
		bar.Set64(p.Done) //nolint:errcheck // a bar that can't be drawn is no failure
	}
	return report, func() {
		if bar != nil {
			bar.Clear() //nolint:errcheck // as above
		}
	}
}

func newBar(w io.Writer, p engine.Progress) *progressbar.ProgressBar {
	total := p.Total
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionShowBytes(p.Unit == "bytes"), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
	)
}
