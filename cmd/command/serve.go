package command

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-accelerate/ipfs-accelerate-go/mcpserver"
)

// syncLimit is how long a tool call waits for long work: clients give up on a
// call after a minute.
const syncLimit = 45 * time.Second

// serverRuntimeHint is for an agent, which may have no shell on this machine.
const serverRuntimeHint = "set ORT_LIB in the server's environment, or have a person run: ipfs-accelerate runtime install"

// serving are the flags of serve.
type serving struct {
	transports []string
	listen     string
	gateway    bool
	drain      time.Duration
}

func (c *cli) serve() *cobra.Command {
	var o serving
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the tools to AI agents over MCP",
		Example: `  ipfs-accelerate serve
  ipfs-accelerate serve --transport http --listen 127.0.0.1:8765 --gateway
  ipfs-accelerate serve --source http://127.0.0.1:8080 --allow-path ~/models`,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runServer(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.transports, "transport", []string{"stdio"}, "stdio, http or stdio,http")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8765", "loopback address for http: /mcp, /sse and, with --gateway, /ipfs/")
	f.BoolVar(&o.gateway, "gateway", false, "serve the models of the store under /ipfs/ as a trustless gateway")
	f.StringArrayVar(&c.allow, "allow-path", nil, "folder whose files callers may name (repeatable)")
	f.DurationVar(&o.drain, "drain-timeout", 30*time.Second, "how long calls may go on after the input ends or the server is stopped")
	return cmd
}

func (o serving) check() error {
	for _, t := range o.transports {
		if t != "stdio" && t != "http" {
			return usageError{fmt.Errorf("transport %q is neither stdio nor http", t)}
		}
	}
	if o.gateway && !slices.Contains(o.transports, "http") {
		return usageError{errors.New("--gateway needs --transport http")}
	}
	return nil
}

func (c *cli) runServer(ctx context.Context, o serving) error {
	if err := o.check(); err != nil {
		return err
	}
	stdio := slices.Contains(o.transports, "stdio")
	if stdio {
		os.Stdout = os.Stderr // stdout is the protocol's: a stray print must not break it
	}
	allow, err := allowedFolders(c.allow)
	if err != nil {
		return usageError{err}
	}
	if stdio {
		allow = append(allow, workingDirectory()...)
		c.greet()
	}
	a, err := c.assemble(appOptions{allow: allow, syncLimit: syncLimit, runtimeHint: serverRuntimeHint}) //nolint:contextcheck // what is opened stays open until it is closed
	if err != nil {
		return err
	}
	return errors.Join(c.serveAll(ctx, a, o, stdio), a.close())
}

// serveAll serves every transport until the input ends (with stdio) or the
// context does.
func (c *cli) serveAll(ctx context.Context, a *app, o serving, stdio bool) error {
	srv := mcpserver.New(a.engine, mcpserver.Options{Version: Version, Logger: a.log})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, gctx := errgroup.WithContext(ctx)
	if slices.Contains(o.transports, "http") {
		l, err := mcpserver.ListenLoopback(gctx, o.listen)
		if errors.Is(err, mcpserver.ErrNotLoopback) {
			return usageError{err}
		}
		if err != nil {
			return err
		}
		c.announce(l)
		mounts := map[string]http.Handler{}
		if o.gateway {
			mounts["/ipfs/"] = a.store.Gateway()
		}
		group.Go(func() error { return srv.ServeHTTP(gctx, l, mounts, o.drain) })
	}
	if stdio {
		group.Go(func() error {
			defer cancel() // the client has gone
			return srv.ServeStdio(gctx, c.in, c.out, o.drain)
		})
	}
	return group.Wait()
}

// announce says where the server listens, on stderr: port 0 picks one.
func (c *cli) announce(l net.Listener) {
	fmt.Fprintf(c.err, "listening on http://%s/mcp\n", l.Addr())
}

// greet tells a person who started the server by hand what it waits for.
func (c *cli) greet() {
	if isTerminal(c.in) {
		fmt.Fprintln(c.err, "waiting for MCP messages on stdin: an AI client starts this command by itself; Ctrl-C ends it")
	}
}
