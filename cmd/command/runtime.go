package command

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine/packs"
)

func (c *cli) runtime() *cobra.Command {
	cmd := &cobra.Command{Use: "runtime", Short: "Install ONNX Runtime and its execution providers, which run the models"}
	cmd.AddCommand(c.runtimeInstall(), c.runtimeList())
	return cmd
}

func (c *cli) runtimeInstall() *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "install [PACK]",
		Short: "Take ONNX Runtime, or an execution provider, out of its pinned package into the data directory",
		Long:  "Take ONNX Runtime, or an execution provider, out of its pinned package into the data directory:\ncpu, or one that `runtime list` shows. The package comes through the npm or pip client of this\nmachine, or from a file named by --from; it and what is taken out of it must have the SHA-256\nthat this program knows.",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return packNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := pack(append(args, "cpu")[0])
			if err != nil {
				return err
			}
			report, done := c.progress()
			path, err := p.Install(cmd.Context(), filepath.Join(c.dataHome(), "runtime"), from, report)
			done()
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]string{"pack": p.Name, "library": path, "version": p.Version})
			}
			return c.table(func(w io.Writer) { row(w, "%s %s\t%s", p.Name, p.Version, path) })
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "package file (.tgz or .whl) that is on this machine already")
	return cmd
}

// pack finds a row of the table.
func pack(name string) (*packs.Pack, error) {
	table, err := packs.Table(packs.Here())
	if err != nil {
		return nil, err
	}
	for _, p := range table {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, usageError{fmt.Errorf("there is no pack %q for this kind of machine; there are %s", name, strings.Join(packNames(), ", "))}
}

func packNames() []string {
	var names []string
	table, err := packs.Table(packs.Here())
	if err != nil {
		return nil
	}
	for _, p := range table {
		names = append(names, p.Name)
	}
	return names
}

// A packRow is a pack as it is listed.
type packRow struct {
	Name      string   `json:"name"`
	Platform  string   `json:"platform"`
	Version   string   `json:"version"`
	License   string   `json:"license"`
	Bytes     int64    `json:"bytes"`
	Installed bool     `json:"installed"`
	Missing   []string `json:"missing,omitempty"`
	Needs     string   `json:"needs,omitempty"`
}

func (c *cli) runtimeList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the packs for this kind of machine, and what of them is installed",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			table, err := packs.Table(packs.Here())
			if err != nil {
				return err
			}
			var rows []packRow
			for _, p := range table {
				missing := p.Missing(filepath.Join(c.dataHome(), "runtime"))
				rows = append(rows, packRow{p.Name, string(p.Kind), p.Version, p.License, p.Bytes(), len(missing) == 0, missing, p.Needs})
			}
			if c.json {
				return c.printJSON(rows)
			}
			return c.table(func(w io.Writer) {
				row(w, "PACK\tPLATFORM\tVERSION\tSIZE\tINSTALLED\tNEEDS")
				for _, r := range rows {
					row(w, "%s\t%s\t%s\t%s\t%v\t%s", r.Name, r.Platform, r.Version, humanBytes(r.Bytes), r.Installed, r.Needs)
				}
			})
		},
	}
}
