package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

func (c *cli) detect() *cobra.Command {
	r := engine.DetectRequest{Detail: "full"}
	cmd := &cobra.Command{
		Use:   "detect",
		Short: "Say what this machine can run models on, and prove it with a canary",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.with(func(a *app) error {
				d, err := a.engine.Detect(cmd.Context(), r, nil)
				if err != nil {
					return err
				}
				if c.json {
					return c.printJSON(d)
				}
				return c.table(func(w io.Writer) { printDetection(w, d) })
			})
		},
	}
	cmd.Flags().BoolVar(&r.Refresh, "refresh", false, "run the canary again, also where it ran before")
	return cmd
}

// table prints aligned columns: cells are separated by tabs.
func (c *cli) table(fill func(w io.Writer)) error {
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fill(w)
	return w.Flush()
}

func printDetection(w io.Writer, d engine.Detection) {
	h := d.Host
	row(w, "%s/%s\t%s, %d cores, %d threads, %s", h.OS, h.Arch, h.CPU.Model, h.CPU.Cores, h.CPU.Threads, strings.Join(h.CPU.SIMD, " "))
	row(w, "memory\t%s, %s free", humanBytes(h.Memory.TotalBytes), humanBytes(h.Memory.AvailableBytes))
	row(w, "sandbox\t%s\n", h.Sandbox)
	for _, p := range d.Platforms {
		switch {
		case p.Available:
			row(w, "%s\tavailable\t%s (canary %.2g off)", p.Kind, p.Devices[0].Name, p.Verified.MaxAbsDiff)
		case p.Fix != "":
			row(w, "%s\t-\t%s; %s", p.Kind, p.Reason, p.Fix)
		default:
			row(w, "%s\t-\t%s", p.Kind, p.Reason)
		}
	}
	row(w, "\n%s", d.Summary)
}

// row prints one line; a terminal that can't be written to is no failure.
func row(w io.Writer, format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}

// humanBytes shows a size as people write it.
func humanBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/unit, 0
	for f >= unit && i < 4 {
		f, i = f/unit, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTP"[i])
}
