package command

import (
	"io"

	"github.com/spf13/cobra"
)

func (c *cli) modelsShare() *cobra.Command {
	var stop bool
	cmd := &cobra.Command{
		Use:   "share MODEL",
		Short: "Let other machines have a model: peers, and who asks a gateway from elsewhere",
		Long:  "Let other machines have a model: peers that are allowed (see peers), and whoever asks a\ngateway that listens beyond this machine. Nothing is shared until it is said here.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(func(a *app) error {
				m, err := a.store.Share(cmd.Context(), args[0], !stop)
				if err != nil {
					return a.explain(cmd.Context(), args[0], err)
				}
				if a.settings().P2P.DHT {
					a.announce(cmd.Context())
				}
				if c.json {
					return c.printJSON(map[string]any{"cid": m.Root, "name": m.Name, "shared": m.Shared})
				}
				return c.table(func(w io.Writer) {
					row(w, "%s\t%s\t%s", m.Root, m.Name, map[bool]string{true: "shared", false: "not shared"}[m.Shared])
				})
			})
		},
	}
	cmd.Flags().BoolVar(&stop, "stop", false, "share it no longer; who has it keeps it")
	return cmd
}
