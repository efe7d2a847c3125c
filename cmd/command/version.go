package command

import (
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

func (c *cli) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program and of the ONNX Runtime that it installs",
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				return c.printJSON(map[string]string{
					"version": Version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "onnxruntime": packs.CoreVersion(),
				})
			}
			return c.table(func(w io.Writer) {
				row(w, "ipfs-accelerate %s, %s, %s/%s, ONNX Runtime %s", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, packs.CoreVersion())
			})
		},
	}
}
