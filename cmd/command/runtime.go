package command

import (
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/runner"
)

func (c *cli) runtime() *cobra.Command {
	cmd := &cobra.Command{Use: "runtime", Short: "Install ONNX Runtime, which runs the models"}
	var from string
	install := &cobra.Command{
		Use:   "install",
		Short: "Take ONNX Runtime out of its pinned package into the data directory",
		Long:  "Take ONNX Runtime out of its pinned package into the data directory. The package comes\nthrough the npm client of this machine, or from a file named by --from; it and what is\ntaken out of it must have the SHA-256 that this program knows.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			report, done := c.progress()
			path, err := runner.Install(cmd.Context(), filepath.Join(c.dataHome(), "runtime"), from, report)
			done()
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]string{"library": path, "version": runner.PackVersion})
			}
			return c.table(func(w io.Writer) { row(w, "ONNX Runtime %s\t%s", runner.PackVersion, path) })
		},
	}
	install.Flags().StringVar(&from, "from", "", "package file (.tgz) that is on this machine already")
	cmd.AddCommand(install)
	return cmd
}
