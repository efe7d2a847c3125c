package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/cmd/internal/config"
	"github.com/ipfs-accelerate/ipfs-accelerate-go/engine"
)

// Version is the program's version. A release sets it by the linker.
var Version = "0.1.0-dev"

// The exit codes of the program.
const (
	ExitOK          = 0
	ExitError       = 1 // a tool or command failed
	ExitUsage       = 2 // it was called wrongly
	ExitRegression  = 3 // it became slower than the baseline
	ExitUnavailable = 4 // something it needs is not there, or two runs can't be compared
	ExitTimeout     = 5 // --timeout ran out
)

// Main runs the program and exits. Plugins add to what it has built in.
func Main(plugins ...func(*engine.Registry)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	code := Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, plugins...)
	stop()
	os.Exit(code)
}

// Run runs the program with the given arguments and streams, and returns its
// exit code.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer, plugins ...func(*engine.Registry)) int {
	c := &cli{in: in, out: out, err: errOut, plugins: plugins, given: map[string]config.Given{}}
	root := c.root() //nolint:contextcheck // cobra hands it to each command
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if c.cancel != nil {
		c.cancel()
	}
	if err == nil {
		return ExitOK
	}
	c.complain(err)
	return exitCode(err)
}

// cli is the program's command line: the flags that every command has.
type cli struct {
	in       io.Reader
	out, err io.Writer
	plugins  []func(*engine.Registry)

	home       string
	configFile string
	json       bool
	timeout    time.Duration
	sources    []string
	allow      []string
	given      map[string]config.Given // keys of the configuration, by flags

	cancel context.CancelFunc // of --timeout
}

// usageError is a command line that can't be understood.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "ipfs-accelerate",
		Short:         "Run machine-learning models on whatever hardware is at hand, for people and AI agents",
		Long:          "An MCP server that runs machine-learning models on whatever hardware is at hand,\ngets them by content (IPFS) and keeps every measurement. The same five tools are\ncommands for people.",
		SilenceErrors: true, SilenceUsage: true, Version: Version,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if c.timeout > 0 {
				ctx, cancel := context.WithTimeout(cmd.Context(), c.timeout)
				c.cancel = cancel
				cmd.SetContext(ctx)
			}
			return nil
		},
	}
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.StringVar(&c.home, "home", "", "data directory (default: $IPFS_ACCELERATE_HOME, else the system's usual place)")
	f.BoolVar(&c.json, "json", false, "print JSON, and nothing else, on stdout")
	f.DurationVar(&c.timeout, "timeout", 0, "give up after this long, such as 30s")
	f.StringVar(&c.configFile, "config", "", "file of settings to read instead of the user's own")
	c.keyFlags(f, false, func(name string, _ config.Key) bool { return strings.HasPrefix(name, "log-") })
	c.keyFlags(f, true, func(name string, k config.Key) bool { return name == k.Flags[0] })
	c.keyFlags(f, false, func(name string, _ config.Key) bool { return name == "p2p" })
	f.StringArrayVar(&c.sources, "source", nil, "trustless gateway to fetch models from, URL or NAME=URL (repeatable)")
	root.AddCommand(c.serve(), c.call(), c.detect(), c.infer(), c.bench(), c.query(), c.benchdb(), c.models(), c.peers(), c.runtime(), c.doctor(), c.health(), c.config(), c.version())
	usageErrors(root)
	return root
}

// Root returns the program's command line, for what documents it. It is not
// for running: it has no streams.
func Root() *cobra.Command {
	root := (&cli{given: map[string]config.Given{}}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root
}

// usageErrors makes wrong numbers of arguments usage errors, in every command.
func usageErrors(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.NoArgs
		if cmd.HasSubCommands() {
			check = nil
		}
	}
	if check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.RunE == nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		}
		cmd.Args = cobra.ArbitraryArgs
	}
	for _, sub := range cmd.Commands() {
		usageErrors(sub)
	}
}

// flagError is the error for a flag that is unknown or has a wrong value.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) {
		return usageError{err}
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if s := engine.Suggest(missing.GetSpecifiedName(), known); s != "" {
		err = fmt.Errorf("%w; did you mean --%s?", err, s)
	}
	return usageError{err}
}

func unknownCommand(cmd *cobra.Command, word string) error {
	err := fmt.Errorf("unknown command %q for %q", word, cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		err = fmt.Errorf("%w; did you mean %q?", err, near[0])
	}
	return usageError{err}
}

// complain tells why the program fails: as JSON on stdout, else on stderr.
func (c *cli) complain(err error) {
	var usage usageError
	var shown shownError
	var verdict verdictError
	switch {
	case errors.As(err, &shown):
	case errors.As(err, &verdict):
		fmt.Fprintln(c.err, "error:", verdict.error)
	case errors.As(err, &usage):
		c.show(&engine.ErrorInfo{Code: engine.ErrInvalidArgument, Message: err.Error(), Hint: "see ipfs-accelerate --help"})
	default:
		var e *engine.Error
		if !errors.As(err, &e) { // a person may see what an agent may not
			e = &engine.Error{Code: engine.ErrInternal, Message: err.Error()}
		}
		c.show(engine.Explain(e))
	}
}

func (c *cli) show(told *engine.ErrorInfo) {
	info := *told
	info.Hint = inShell(told.Hint)
	if c.json {
		c.printJSON(map[string]engine.ErrorInfo{"error": info}) //nolint:errcheck // nothing is left to tell it to
		return
	}
	fmt.Fprintln(c.err, "error:", info.Message)
	if len(info.ValidValues) > 0 {
		fmt.Fprintln(c.err, "valid:", info.ValidValues)
	}
	if info.Hint != "" {
		fmt.Fprintln(c.err, "hint: ", info.Hint)
	}
}

// shownError is a failure that has been printed already.
type shownError struct{ code int }

func (shownError) Error() string { return "failed" }

func exitCode(err error) int {
	var usage usageError
	var shown shownError
	var verdict verdictError
	switch {
	case errors.As(err, &shown):
		return shown.code
	case errors.As(err, &verdict):
		return verdict.code
	case errors.As(err, &usage):
		return ExitUsage
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, engine.ErrDeadline):
		return ExitTimeout
	}
	for _, code := range []engine.Code{engine.ErrRuntimeMissing, engine.ErrNativeMissing, engine.ErrDeviceUnavailable, engine.ErrRestartNeeded} {
		if errors.Is(err, code) {
			return ExitUnavailable
		}
	}
	return ExitError
}

// printJSON writes v as one line.
func (c *cli) printJSON(v any) error {
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
