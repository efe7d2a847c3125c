package command

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/lmittmann/tint"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// logHandler is for people: coloured on a terminal only.
func (c *cli) logHandler(level slog.Level) slog.Handler {
	return tint.NewTextHandler(c.err, &tint.Options{Level: level, TimeFormat: time.TimeOnly, NoColor: !isTerminal(c.err)})
}

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
