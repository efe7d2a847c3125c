package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

func (c *cli) config() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show, begin or check the configuration",
		Long:  "Show, begin or check the configuration: flags come first, then variables, the user's\nfile, the project's file (ipfs_accelerate.json), defaults. The key ipfs.timeout is the\nflag --ipfs-timeout and the variable IPFS_ACCELERATE_IPFS_TIMEOUT.",
	}
	cmd.AddCommand(c.configShow(), c.configInit(), c.configValidate(), c.configSchema())
	return cmd
}

func (c *cli) configShow() *cobra.Command {
	var origin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration as it holds",
		RunE: func(*cobra.Command, []string) error {
			l, err := c.configure()
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]any{"settings": l.Settings(), "warnings": problems(l.Warnings)})
			}
			return c.table(func(w io.Writer) {
				for _, s := range l.Settings() {
					if origin {
						row(w, "%s\t%s\t%s", s.Key, s.Value, s.Origin)
					} else {
						row(w, "%s\t%s", s.Key, s.Value)
					}
				}
				for _, p := range l.Warnings {
					row(w, "left out: %s", p)
				}
			})
		},
	}
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	return cmd
}

// problems are never null in JSON.
func problems(ps []config.Problem) []config.Problem {
	if ps == nil {
		return []config.Problem{}
	}
	return ps
}

// beginning is a file to begin with: what is set most often, as it is by
// default.
var beginning = []string{
	"hardware.prefer_cuda", "hardware.allow_openvino", "hardware.precision", "hardware.memory_limit", "ipfs.timeout",
	"performance.cache_size", "performance.parallel_requests", "logging.level", "models", "allow_paths", "sources",
}

func (c *cli) configInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a file of settings to begin with, if there is none",
		RunE: func(*cobra.Command, []string) error {
			path, err := c.configPath()
			if err != nil {
				return err
			}
			data, err := config.Template(beginning)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if errors.Is(err, fs.ErrExist) {
				return usageError{fmt.Errorf("%s is there already; config show says what holds", path)}
			}
			if err != nil {
				return err
			}
			_, err = f.Write(data)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]string{"file": path})
			}
			return c.table(func(w io.Writer) { row(w, "wrote %s", path) })
		},
	}
}

// configPath is the user's file: the one that is there, or where it belongs.
func (c *cli) configPath() (string, error) {
	if c.configFile != "" {
		return c.configFile, nil
	}
	if file := os.Getenv(config.EnvConfig); file != "" {
		return file, nil
	}
	files := config.UserFiles(c.dataHome(), c.home != "" || os.Getenv(config.EnvHome) != "")
	if len(files) == 0 {
		return "", usageError{errors.New("there is no place for a file of settings; name one with --config")}
	}
	for _, path := range files {
		if _, err := os.Lstat(path); err == nil {
			return path, nil
		}
	}
	return files[0], nil
}

func (c *cli) configValidate() *cobra.Command {
	var project bool
	cmd := &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check a file of settings, or all that holds here",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := c.check(args, project)
			if err != nil {
				return err
			}
			if c.json {
				err = c.printJSON(map[string]any{"valid": len(found) == 0, "problems": problems(found)})
			} else {
				err = c.table(func(w io.Writer) {
					for _, p := range found {
						row(w, "%s", p)
					}
					if len(found) == 0 {
						row(w, "valid")
					}
				})
			}
			if err == nil && len(found) > 0 {
				return shownError{ExitUsage}
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&project, "project", false, "check FILE as a project's own, which may set less")
	return cmd
}

// check returns what is wrong with a file or, without one, with all levels.
func (c *cli) check(args []string, project bool) ([]config.Problem, error) {
	if len(args) == 0 {
		l, err := c.configure()
		if wrong, ok := errors.AsType[config.Error](err); ok {
			return wrong.Problems, nil
		}
		if err != nil {
			return nil, err
		}
		return l.Warnings, nil
	}
	level := config.UserFile
	if project || filepath.Base(args[0]) == config.ProjectName {
		level = config.ProjectFile
	}
	return config.Check(args[0], level, engine.Suggest)
}

func (c *cli) configSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of a file of settings",
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				return c.printJSON(json.RawMessage(config.Schema()))
			}
			_, err := c.out.Write(config.Schema())
			return err
		},
	}
}
