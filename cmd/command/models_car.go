package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/ipfsstore"
)

func (c *cli) modelsImport() *cobra.Command {
	var o ipfsstore.AddOptions
	cmd := &cobra.Command{
		Use:   "import FILE.car|-",
		Short: "Import a model from a CAR file; every block is verified",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := c.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return missing(args[0], err)
				}
				defer f.Close()
				in = f
			}
			return c.with(func(a *app) error {
				report, done := c.storeProgress()
				o.Progress = report
				m, err := a.store.Import(cmd.Context(), in, o)
				done()
				if err != nil {
					return a.explain(cmd.Context(), args[0], err)
				}
				return c.printModel(cmd.Context(), a, m)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "name to keep it under, NAME or NAME:TAG; without it, it is known by its CID alone")
	f.BoolVar(&o.Replace, "replace", false, "move the name if it is another model's")
	f.BoolVar(&o.Pin, "pin", false, "keep it when space is needed")
	return cmd
}

func (c *cli) modelsExport() *cobra.Command {
	var output, to string
	var version int
	cmd := &cobra.Command{
		Use:     "export MODEL",
		Short:   "Export a model as a CAR file, to stdout unless --output names one, or as files with --to",
		Example: "  ipfs-accelerate models export mine -o mine.car\n  ipfs-accelerate models export mine --to ./copy",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cmp.Or(notTogether(cmd, "output", "to"), notTogether(cmd, "car-version", "to")); err != nil {
				return err
			}
			switch {
			case version != 1 && version != 2:
				return usageError{fmt.Errorf("there is no CAR version %d; it is 1 or 2", version)}
			case output == "" && to == "" && (c.json || isTerminal(c.out)):
				return usageError{errors.New("stdout is not for a CAR file here; name --output FILE.car or --to FOLDER")}
			}
			return c.with(func(a *app) error { return c.export(cmd.Context(), a, exporting{args[0], output, to, version}) })
		},
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "CAR file to write")
	f.StringVar(&to, "to", "", "folder to copy the files to, which must not exist or be empty")
	f.IntVar(&version, "car-version", 1, "1, or 2 for one with an index")
	return cmd
}

// exporting says what is exported, and where to.
type exporting struct {
	model, output, to string
	version           int
}

func (c *cli) export(ctx context.Context, a *app, e exporting) error {
	write := a.store.Export
	if e.version == 2 {
		write = a.store.ExportV2
	}
	where := e.output
	switch {
	case e.to != "":
		where = e.to
		if err := a.store.ExportFiles(ctx, e.model, e.to); errors.Is(err, fs.ErrExist) {
			return usageError{err}
		} else if err != nil {
			return a.explain(ctx, e.model, err)
		}
	case e.output == "":
		return a.explain(ctx, e.model, write(ctx, e.model, c.out))
	default:
		if err := exportFile(e.output, func(w io.Writer) error { return a.explain(ctx, e.model, write(ctx, e.model, w)) }); err != nil {
			return err
		}
	}
	if !c.json {
		return nil
	}
	key := "file"
	if e.to != "" {
		key = "folder"
	}
	return c.printJSON(map[string]string{"exported": e.model, key: where})
}

// exportFile writes a file under its name only when it is whole.
func exportFile(output string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(output), ".export-*")
	if err != nil {
		return usageError{err}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := write(f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}
